//! The arithmetic of `sum`, `min` and `max`: on a U64, or a bigint or number in V8's wire format ([`crate::wire`]).

use num_bigint::BigInt;

use super::{ErrorKind, MutationKind, StoreError};
use crate::value::Value;
use crate::wire::{MalformedError, Reader, Writer, tag};

/// The value that a `sum`, `min` or `max` stores over `stored`, the value that the key holds.
///
/// # Errors
/// Of kind [`TypeMismatch`](ErrorKind::TypeMismatch) if the two can't be combined, with Deno's message, or the stored value can't be decoded.
/// So it is for any other kind of mutation, which combines nothing.
pub fn combine(kind: &MutationKind, stored: Option<Value>) -> Result<Value, StoreError> {
  if let Some(error) = stored
    .as_ref()
    .and_then(|value| value.as_ref().decode_error())
  {
    return Err(error.into());
  }
  match kind {
    MutationKind::Sum(Value::U64(operand)) => {
      combine_u64("sum", stored, *operand, u64::wrapping_add)
    }
    MutationKind::Sum(operand) => sum(stored, operand),
    MutationKind::Min(Value::U64(operand)) => combine_u64("min", stored, *operand, u64::min),
    MutationKind::Max(Value::U64(operand)) => combine_u64("max", stored, *operand, u64::max),
    MutationKind::Min(_) => refuse("Failed to perform 'min' mutation on a non-U64 operand"),
    MutationKind::Max(_) => refuse("Failed to perform 'max' mutation on a non-U64 operand"),
    MutationKind::Set(_) | MutationKind::SetWithVersionstamp(_) | MutationKind::Delete => {
      refuse("not a mutation that combines values")
    }
  }
}

fn combine_u64(
  name: &str,
  stored: Option<Value>,
  operand: u64,
  combine: impl FnOnce(u64, u64) -> u64,
) -> Result<Value, StoreError> {
  match stored {
    None => Ok(Value::U64(operand)),
    Some(Value::U64(stored)) => Ok(Value::U64(combine(stored, operand))),
    Some(_) => refuse(format!(
      "Failed to perform '{name}' mutation on a non-U64 value in the database"
    )),
  }
}

fn sum(stored: Option<Value>, operand: &Value) -> Result<Value, StoreError> {
  let Some(operand) = Number::from_value(operand) else {
    return refuse("Some of the parameters are not valid V8 values");
  };
  let sum = match stored.map(|stored| Number::from_value(&stored)) {
    None => operand,
    Some(Some(stored)) => stored.plus(operand)?,
    Some(None) => return refuse("unsupported value type"),
  };
  Ok(sum.into_value())
}

fn refuse<T>(message: impl Into<String>) -> Result<T, StoreError> {
  Err(StoreError::new(ErrorKind::TypeMismatch, message))
}

/// A number as `sum` sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
  /// A `KvU64`.
  U64(u64),
  /// A bigint.
  BigInt(BigInt),
  /// A number.
  Double(f64),
}

impl Number {
  /// The number a value is, if it is one.
  pub fn from_value(value: &Value) -> Option<Self> {
    match value {
      Value::U64(number) => Some(Self::U64(*number)),
      Value::V8(bytes) => read(bytes).unwrap_or_default(),
      Value::Bytes(_) | Value::Unknown { .. } => None,
    }
  }

  /// The number as a value that is stored.
  pub fn into_value(self) -> Value {
    let mut writer = Writer::new();
    match self {
      Self::U64(number) => return Value::U64(number),
      Self::Double(number) => {
        writer.tag(tag::DOUBLE);
        writer.double(number);
      }
      Self::BigInt(number) => writer.big_integer(&number),
    }
    Value::V8(writer.finish())
  }

  /// `self + operand`, where `self` is the number stored.
  pub fn plus(self, operand: Self) -> Result<Self, StoreError> {
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
  StoreError::new(
    ErrorKind::TypeMismatch,
    format!("Cannot sum {stored} with {operand}"),
  )
}

/// The number that a clone is, if it is one.
fn read(bytes: &[u8]) -> Result<Option<Number>, MalformedError> {
  // Of any version: numbers look the same in all of them.
  let mut reader = Reader::of_any_version(bytes)?;
  Ok(match reader.tag()? {
    tag::INT32 => Some(Number::Double(reader.int32()?.into())),
    tag::UINT32 => Some(Number::Double(reader.varint32()?.into())),
    tag::DOUBLE => Some(Number::Double(reader.double()?)),
    tag::BIGINT => Some(Number::BigInt(reader.big_integer()?)),
    _ => None,
  })
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
