//! The numbers that `sum` adds: a U64, or a bigint or number in V8's wire format.
//!
//! The format (V8's `src/objects/value-serializer.cc`) is a header, `ff` and the format version
//! as a varint, then a tag and its data: `I` zigzag varint, `U` varint, `N` little-endian double,
//! `Z` a varint bit field (bit 0: negative; the rest: length in bytes) and the magnitude's bytes,
//! little-endian. Varints are LEB128; `00` before a tag is padding.

use num_bigint::{BigInt, Sign};

use super::StoreError;
use crate::value::Value;

const FORMAT_VERSION: u8 = 15;

/// A number as `sum` sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Number {
  U64(u64),
  BigInt(BigInt),
  Double(f64),
}

impl Number {
  /// The number a value is, if it is one.
  pub(crate) fn from_value(value: &Value) -> Option<Self> {
    match value {
      Value::U64(number) => Some(Self::U64(*number)),
      Value::V8(bytes) => Reader { rest: bytes }.number(),
      Value::Bytes(_) => None,
    }
  }

  pub(crate) fn into_value(self) -> Value {
    let mut bytes = vec![0xff, FORMAT_VERSION];
    match self {
      Self::U64(number) => return Value::U64(number),
      Self::Double(number) => {
        bytes.push(b'N');
        bytes.extend(number.to_le_bytes());
      }
      Self::BigInt(number) => {
        let (sign, mut magnitude) = number.to_bytes_le();
        if sign == Sign::NoSign {
          magnitude.clear();
        }
        // V8 stores whole 64-bit digits.
        magnitude.resize(magnitude.len().next_multiple_of(8), 0);
        bytes.push(b'Z');
        push_varint(
          &mut bytes,
          (magnitude.len() as u64) << 1 | u64::from(sign == Sign::Minus),
        );
        bytes.extend(magnitude);
      }
    }
    Value::V8(bytes)
  }

  /// `self + operand`, where `self` is the number stored.
  pub(crate) fn plus(self, operand: Self) -> Result<Self, StoreError> {
    match (self, operand) {
      (Self::U64(stored), Self::U64(operand)) => Ok(Self::U64(stored.wrapping_add(operand))),
      // A bigint that fits counts as a U64.
      (Self::U64(stored), Self::BigInt(operand)) => match u64::try_from(&operand) {
        Ok(operand) => Ok(Self::U64(stored.wrapping_add(operand))),
        Err(_) => Err(cannot_sum("KvU64", "BigInt")),
      },
      (Self::BigInt(stored), Self::BigInt(operand)) => Ok(Self::BigInt(stored + operand)),
      (Self::Double(stored), Self::Double(operand)) => Ok(Self::Double(stored + operand)),
      (stored, operand) => Err(cannot_sum(stored.type_name(), operand.type_name())),
    }
  }

  fn type_name(&self) -> &'static str {
    match self {
      Self::U64(_) => "KvU64",
      Self::BigInt(_) => "BigInt",
      Self::Double(_) => "Number",
    }
  }
}

fn cannot_sum(stored: &str, operand: &str) -> StoreError {
  StoreError::TypeMismatch(format!("Cannot sum {stored} with {operand}"))
}

fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
  while number >= 0x80 {
    bytes.push(number as u8 | 0x80);
    number >>= 7;
  }
  bytes.push(number as u8);
}

struct Reader<'a> {
  rest: &'a [u8],
}

impl Reader<'_> {
  fn byte(&mut self) -> Option<u8> {
    let (byte, rest) = self.rest.split_first()?;
    self.rest = rest;
    Some(*byte)
  }

  fn bytes(&mut self, length: usize) -> Option<&[u8]> {
    let (bytes, rest) = self.rest.split_at_checked(length)?;
    self.rest = rest;
    Some(bytes)
  }

  fn varint(&mut self) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
      let byte = self.byte()?;
      number |= u64::from(byte & 0x7f) << shift;
      if byte & 0x80 == 0 {
        return Some(number);
      }
    }
    None
  }

  fn number(&mut self) -> Option<Number> {
    if self.byte()? != 0xff {
      return None;
    }
    self.varint()?;
    let tag = loop {
      match self.byte()? {
        0 => continue,
        tag => break tag,
      }
    };
    match tag {
      b'I' => {
        let zigzag = self.varint()? as u32;
        let number = (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32);
        Some(Number::Double(number.into()))
      }
      b'U' => Some(Number::Double((self.varint()? as u32).into())),
      b'N' => {
        let bytes = self.bytes(8)?.try_into().ok()?;
        Some(Number::Double(f64::from_le_bytes(bytes)))
      }
      b'Z' => {
        let bit_field = self.varint()?;
        let sign = if bit_field & 1 == 1 {
          Sign::Minus
        } else {
          Sign::Plus
        };
        let magnitude = self.bytes(usize::try_from(bit_field >> 1).ok()?)?;
        Some(Number::BigInt(BigInt::from_bytes_le(sign, magnitude)))
      }
      _ => None,
    }
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn numbers_survive_a_round_trip() {
    let numbers = [
      Number::U64(u64::MAX),
      Number::Double(-1.5),
      Number::BigInt(0.into()),
      Number::BigInt(BigInt::from(-1)),
      Number::BigInt(BigInt::from(1) << 200),
    ];
    for number in numbers {
      assert_eq!(
        Number::from_value(&number.clone().into_value()),
        Some(number)
      );
    }
  }

  #[test]
  fn small_integers_are_numbers() {
    // What V8 writes for 5, -7 and 4294967295.
    for (bytes, number) in [
      (vec![0xff, 15, b'I', 10], 5.0),
      (vec![0xff, 15, b'I', 13], -7.0),
      (
        vec![0xff, 15, b'U', 0xff, 0xff, 0xff, 0xff, 0x0f],
        4294967295.0,
      ),
    ] {
      assert_eq!(
        Number::from_value(&Value::V8(bytes)),
        Some(Number::Double(number))
      );
    }
  }

  #[test]
  fn what_is_no_number_is_refused() {
    for bytes in [
      vec![],
      vec![0xff],
      vec![0xff, 15],
      vec![0xff, 15, b'o', b'{', 0],
      vec![0xff, 15, b'N', 1],
      vec![
        0xff, 15, b'Z', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
      ],
      vec![0xff; 20],
    ] {
      assert_eq!(
        Number::from_value(&Value::V8(bytes.clone())),
        None,
        "{bytes:?}"
      );
    }
  }
}
