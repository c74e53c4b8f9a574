use std::borrow::Cow;

use num_bigint::Sign;

use super::*;

/// Bytes that no key encodes to.
#[derive(Debug, thiserror::Error)]
pub enum KeyDecodeError {
  /// The tag of a part is not one of a key's.
  #[error("the key in the database has a part of unknown type {0:#04x}")]
  UnknownTag(u8),
  /// The bytes end inside a part.
  #[error("the key in the database ends inside a part")]
  UnexpectedEnd,
  /// A string part is not UTF-8.
  #[error("a string in the key in the database is not UTF-8")]
  NotUtf8,
}

/// One part of an encoded key, borrowed from the key unless its bytes have to be decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum PartRef<'a> {
  /// A `Uint8Array`.
  Bytes(Cow<'a, [u8]>),
  /// A string.
  String(Cow<'a, str>),
  /// A bigint: whether it is negative, and its magnitude, big-endian.
  BigInt(bool, Cow<'a, [u8]>),
  /// A number.
  Number(f64),
  /// A boolean.
  Bool(bool),
}

impl PartRef<'_> {
  /// The same part with its own memory.
  pub fn into_owned(self) -> KeyPart {
    match self {
      PartRef::Bytes(bytes) => KeyPart::Bytes(bytes.into_owned()),
      PartRef::String(string) => KeyPart::String(string.into_owned()),
      PartRef::BigInt(negative, magnitude) => {
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        KeyPart::BigInt(BigInt::from_bytes_be(sign, &magnitude))
      }
      PartRef::Number(number) => KeyPart::Number(number),
      PartRef::Bool(bool) => KeyPart::Bool(bool),
    }
  }
}

/// The parts of an encoded key, in order. After an error there are no more.
#[derive(Debug)]
pub struct KeyParts<'a> {
  rest: &'a [u8],
}

impl<'a> KeyParts<'a> {
  /// Reads the parts of `bytes`.
  pub fn new(bytes: &'a [u8]) -> Self {
    Self { rest: bytes }
  }

  fn take(&mut self, length: usize) -> Result<&'a [u8], KeyDecodeError> {
    let (taken, rest) = self
      .rest
      .split_at_checked(length)
      .ok_or(KeyDecodeError::UnexpectedEnd)?;
    self.rest = rest;
    Ok(taken)
  }

  fn take_byte(&mut self) -> Result<u8, KeyDecodeError> {
    Ok(self.take(1)?[0])
  }

  fn take_escaped(&mut self) -> Result<Cow<'a, [u8]>, KeyDecodeError> {
    let mut unescaped: Option<Vec<u8>> = None;
    loop {
      let zero = self
        .rest
        .iter()
        .position(|byte| *byte == 0)
        .ok_or(KeyDecodeError::UnexpectedEnd)?;
      let piece = self.take(zero)?;
      let escaped = self.rest.get(1) == Some(&ESCAPE);
      self.take(if escaped { 2 } else { 1 })?;
      match (&mut unescaped, escaped) {
        (None, false) => return Ok(Cow::Borrowed(piece)),
        (None, true) => {
          let mut bytes = piece.to_vec();
          bytes.push(0);
          unescaped = Some(bytes);
        }
        (Some(bytes), escaped) => {
          bytes.extend(piece);
          if !escaped {
            return Ok(Cow::Owned(std::mem::take(bytes)));
          }
          bytes.push(0);
        }
      }
    }
  }

  fn take_bigint(&mut self, tag: u8) -> Result<PartRef<'a>, KeyDecodeError> {
    let negative = tag < TAG_BIGINT_ZERO;
    let length = match tag {
      TAG_BIGINT_POSITIVE_LONG => self.take_byte()?,
      TAG_BIGINT_NEGATIVE_LONG => !self.take_byte()?,
      short => short.abs_diff(TAG_BIGINT_ZERO),
    };
    let magnitude = self.take(length.into())?;
    Ok(PartRef::BigInt(
      negative,
      if negative {
        Cow::Owned(magnitude.iter().map(|byte| !byte).collect())
      } else {
        Cow::Borrowed(magnitude)
      },
    ))
  }

  fn take_number(&mut self) -> Result<PartRef<'a>, KeyDecodeError> {
    const SIGN: u64 = 1 << 63;
    let mut bytes = [0; 8];
    bytes.copy_from_slice(self.take(8)?);
    let ordered = u64::from_be_bytes(bytes);
    let bits = if ordered & SIGN == 0 {
      !ordered
    } else {
      ordered ^ SIGN
    };
    Ok(PartRef::Number(f64::from_bits(bits)))
  }

  fn take_part(&mut self) -> Result<PartRef<'a>, KeyDecodeError> {
    match self.take_byte()? {
      TAG_BYTES => Ok(PartRef::Bytes(self.take_escaped()?)),
      TAG_STRING => match self.take_escaped()? {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
          .map(|string| PartRef::String(Cow::Borrowed(string)))
          .map_err(|_| KeyDecodeError::NotUtf8),
        Cow::Owned(bytes) => String::from_utf8(bytes)
          .map(|string| PartRef::String(Cow::Owned(string)))
          .map_err(|_| KeyDecodeError::NotUtf8),
      },
      tag @ TAG_BIGINT_NEGATIVE_LONG..=TAG_BIGINT_POSITIVE_LONG => self.take_bigint(tag),
      TAG_NUMBER => self.take_number(),
      TAG_FALSE => Ok(PartRef::Bool(false)),
      TAG_TRUE => Ok(PartRef::Bool(true)),
      tag => Err(KeyDecodeError::UnknownTag(tag)),
    }
  }
}

impl<'a> Iterator for KeyParts<'a> {
  type Item = Result<PartRef<'a>, KeyDecodeError>;

  fn next(&mut self) -> Option<Self::Item> {
    if self.rest.is_empty() {
      return None;
    }
    let part = self.take_part();
    if part.is_err() {
      self.rest = &[];
    }
    Some(part)
  }
}
