//! Keys: arrays of typed parts, encoded so that comparing bytes compares keys.
//!
//! The encoding is the FoundationDB tuple layer's ("Data modeling / Tuples" and
//! `design/tuple.md` in its documentation), restricted to the five types a key part can have.
//! Parts sort `Uint8Array < string < bigint < number < boolean`:
//!
//! | part | bytes |
//! | --- | --- |
//! | `Uint8Array` | `01`, the bytes with each `00` written `00 ff`, `00` |
//! | string | `02`, UTF-8 escaped the same way, `00` |
//! | bigint | `14` is zero; `14+n` / `14-n`, then n big-endian bytes (inverted if negative), for n ≤ 8; longer: `1d n` / `0b ~n`, n ≤ 255 |
//! | number | `21`, the IEEE double big-endian: all bits inverted if negative, else the sign bit flipped |
//! | `false`, `true` | `26`, `27` |
//!
//! All keys that start with the parts of `prefix` lie in `[prefix 00, prefix ff)`.

mod convert;
mod decode;
mod encode;
mod show;

use num_bigint::BigInt;

pub use decode::{KeyDecodeError, KeyParts, PartRef};
pub use encode::{BigIntTooLargeError, KeyEncoder};

const TAG_BYTES: u8 = 0x01;
const TAG_STRING: u8 = 0x02;
const TAG_BIGINT_NEGATIVE_LONG: u8 = 0x0b;
const TAG_BIGINT_ZERO: u8 = 0x14;
const TAG_BIGINT_POSITIVE_LONG: u8 = 0x1d;
const TAG_NUMBER: u8 = 0x21;
const TAG_FALSE: u8 = 0x26;
const TAG_TRUE: u8 = 0x27;

/// Marks the `00` before it as part of a string or of bytes, not as the end.
const ESCAPE: u8 = 0xff;

/// The longest magnitude whose length fits in the tag byte.
const SHORT_BIGINT: usize = 8;

/// One part of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyPart {
  /// A JavaScript `Uint8Array`.
  Bytes(Vec<u8>),
  /// A JavaScript string; it is well-formed, so it has a UTF-8 form.
  String(String),
  /// A JavaScript bigint, of at most 255 bytes.
  BigInt(BigInt),
  /// A JavaScript number. `-0.0` and `0.0` are different parts; all NaNs of a sign are one.
  Number(f64),
  /// A JavaScript boolean.
  Bool(bool),
}

/// A key: its parts in order. The empty key is valid as a prefix only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Key(pub Vec<KeyPart>);

impl Key {
  /// The bytes of this key in the order-preserving encoding.
  ///
  /// # Errors
  /// A bigint whose magnitude needs more than 255 bytes has no encoding.
  pub fn encode(&self) -> Result<Vec<u8>, BigIntTooLargeError> {
    let mut encoder = KeyEncoder::default();
    for part in &self.0 {
      match part {
        KeyPart::Bytes(bytes) => encoder.push_bytes(bytes),
        KeyPart::String(string) => encoder.push_string(string),
        KeyPart::BigInt(bigint) => {
          let (sign, magnitude) = bigint.to_bytes_be();
          encoder.push_bigint(sign == num_bigint::Sign::Minus, &magnitude)?;
        }
        KeyPart::Number(number) => encoder.push_number(*number),
        KeyPart::Bool(bool) => encoder.push_bool(*bool),
      }
    }
    Ok(encoder.finish())
  }

  /// Reads a key back from its bytes.
  ///
  /// # Errors
  /// Bytes that no key encodes to: an unknown tag, an unfinished part, a string that is not UTF-8.
  pub fn decode(bytes: &[u8]) -> Result<Self, KeyDecodeError> {
    KeyParts::new(bytes)
      .map(|part| part.map(PartRef::into_owned))
      .collect::<Result<_, _>>()
      .map(Key)
  }
}

#[cfg(test)]
mod tests;
