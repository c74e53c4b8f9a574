use num_bigint::{BigInt, Sign};

use super::{NEWEST_VERSION, tag};

/// Bytes that are no clone.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("could not deserialize value")]
pub struct MalformedError;

/// Reads a clone, piece by piece, and never beyond its end.
#[derive(Debug)]
pub struct Reader<'a> {
  bytes: &'a [u8],
  position: usize,
  version: u32,
}

type Result<T> = std::result::Result<T, MalformedError>;

impl<'a> Reader<'a> {
  /// Reads the header.
  pub fn new(bytes: &'a [u8]) -> Result<Self> {
    let reader = Self::of_any_version(bytes)?;
    if reader.version > NEWEST_VERSION {
      return Err(MalformedError);
    }
    Ok(reader)
  }

  /// Reads the header and accepts any version, for a caller whose values look the same in all of them.
  pub fn of_any_version(bytes: &'a [u8]) -> Result<Self> {
    let mut reader = Self {
      bytes,
      position: 0,
      version: 0,
    };
    if reader.byte()? != tag::VERSION {
      return Err(MalformedError);
    }
    reader.version = reader.varint32()?;
    Ok(reader)
  }

  /// The version of the format.
  pub fn version(&self) -> u32 {
    self.version
  }

  /// The number of bytes left, which is an upper bound for any count that follows.
  pub fn remaining(&self) -> usize {
    self.bytes.len() - self.position
  }

  /// The current position.
  pub fn position(&self) -> usize {
    self.position
  }

  /// Returns to an earlier position.
  pub fn seek(&mut self, position: usize) {
    self.position = position.min(self.bytes.len());
  }

  fn byte(&mut self) -> Result<u8> {
    let byte = *self.bytes.get(self.position).ok_or(MalformedError)?;
    self.position += 1;
    Ok(byte)
  }

  /// The next tag.
  pub fn tag(&mut self) -> Result<u8> {
    let tag = self.peek_tag().ok_or(MalformedError)?;
    self.position += 1;
    Ok(tag)
  }

  /// The next tag, left where it is. Padding before it is skipped.
  pub fn peek_tag(&mut self) -> Option<u8> {
    while self.bytes.get(self.position) == Some(&tag::PADDING) {
      self.position += 1;
    }
    self.bytes.get(self.position).copied()
  }

  /// The next `length` bytes.
  pub fn raw(&mut self, length: usize) -> Result<&'a [u8]> {
    let rest = &self.bytes[self.position..];
    let taken = rest.get(..length).ok_or(MalformedError)?;
    self.position += length;
    Ok(taken)
  }

  /// The next LEB128 varint.
  pub fn varint(&mut self) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
      let byte = self.byte()?;
      number |= u64::from(byte & 0x7f) << shift;
      if byte & 0x80 == 0 {
        return Ok(number);
      }
    }
    Err(MalformedError)
  }

  /// The next varint, which must fit 32 bits.
  pub fn varint32(&mut self) -> Result<u32> {
    self.varint()?.try_into().map_err(|_| MalformedError)
  }

  /// A size or an offset.
  pub fn size(&mut self) -> Result<usize> {
    self.varint()?.try_into().map_err(|_| MalformedError)
  }

  /// A length in bytes of what follows.
  pub fn length(&mut self) -> Result<usize> {
    let length = self.size()?;
    if length > self.remaining() {
      return Err(MalformedError);
    }
    Ok(length)
  }

  /// A zigzag integer.
  pub fn int32(&mut self) -> Result<i32> {
    let zigzag = self.varint32()?;
    Ok((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))
  }

  /// The next little-endian double.
  pub fn double(&mut self) -> Result<f64> {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(self.raw(8)?);
    Ok(f64::from_le_bytes(bytes))
  }

  /// A bigint: whether it is negative, and its digits, the least significant first.
  pub fn bigint(&mut self) -> Result<(bool, Vec<u64>)> {
    let bits = self.varint32()?;
    let bytes = self.raw((bits >> 1) as usize)?;
    let digits = bytes.chunks(8).map(|chunk| {
      chunk
        .iter()
        .rev()
        .fold(0, |digit, byte| digit << 8 | u64::from(*byte))
    });
    Ok((bits & 1 == 1, digits.collect()))
  }

  /// Like [`bigint`](Self::bigint), as one number.
  pub fn big_integer(&mut self) -> Result<BigInt> {
    let (negative, digits) = self.bigint()?;
    let sign = if negative { Sign::Minus } else { Sign::Plus };
    let halves = digits
      .iter()
      .flat_map(|digit| [*digit as u32, (digit >> 32) as u32]);
    Ok(BigInt::new(sign, halves.collect()))
  }

  /// A string with its tag, as UTF-16 code units.
  pub fn string(&mut self) -> Result<Vec<u16>> {
    let tag = self.tag()?;
    self.string_of(tag)
  }

  /// The string that follows this tag.
  pub fn string_of(&mut self, tag: u8) -> Result<Vec<u16>> {
    let length = self.length()?;
    let bytes = self.raw(length)?;
    match tag {
      tag::LATIN1_STRING => Ok(bytes.iter().map(|byte| u16::from(*byte)).collect()),
      tag::UTF16_STRING if length % 2 == 0 => Ok(
        bytes
          .chunks_exact(2)
          .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
          .collect(),
      ),
      tag::UTF8_STRING => {
        let text = std::str::from_utf8(bytes).map_err(|_| MalformedError)?;
        Ok(text.encode_utf16().collect())
      }
      _ => Err(MalformedError),
    }
  }
}
