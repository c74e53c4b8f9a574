//! JavaScript values without an engine: what a Rust program reads and writes.

mod decode;
mod encode;
mod json;

use num_bigint::BigInt;

use crate::conversions::conversions;
use crate::value::Value;

/// A JavaScript value that has a form in Rust. [`Value::to_js`] returns it, and it converts into a [`Value`].
///
/// ```
/// use kv_store::{JsValue, Value};
///
/// let ada = JsValue::object([("name", JsValue::from("Ada")), ("born", JsValue::Date(-4.8e12))]);
/// let stored = Value::from(ada.clone());
/// assert_eq!(stored.to_js().unwrap(), ada);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum JsValue {
  /// `undefined`; also a hole in an array.
  #[default]
  Undefined,
  /// `null`.
  Null,
  /// `true` or `false`.
  Bool(bool),
  /// A number.
  Number(f64),
  /// A bigint.
  BigInt(BigInt),
  /// A string that is well-formed.
  String(String),
  /// A `Date`, in milliseconds since 1970 UTC; not a number is an invalid date.
  Date(f64),
  /// An array.
  Array(Vec<JsValue>),
  /// An object: its own enumerable properties, in order.
  Object(Vec<(String, JsValue)>),
  /// A `Map`.
  Map(Vec<(JsValue, JsValue)>),
  /// A `Set`.
  Set(Vec<JsValue>),
  /// Bytes: written as a `Uint8Array`, read from any `ArrayBuffer` or view.
  Bytes(Vec<u8>),
  /// A `Deno.KvU64`, as a whole value. Inside another value it is stored as a bigint.
  U64(u64),
}

impl JsValue {
  /// An object with these properties.
  pub fn object<K: Into<String>>(properties: impl IntoIterator<Item = (K, JsValue)>) -> Self {
    let properties = properties.into_iter();
    Self::Object(properties.map(|(key, value)| (key.into(), value)).collect())
  }

  /// An array of these elements.
  pub fn array(elements: impl IntoIterator<Item = JsValue>) -> Self {
    Self::Array(elements.into_iter().collect())
  }

  /// The property of an object, or `None` if there is none, or this is no object.
  pub fn get(&self, property: &str) -> Option<&JsValue> {
    match self {
      Self::Object(properties) => properties
        .iter()
        .find(|(key, _)| key == property)
        .map(|(_, value)| value),
      _ => None,
    }
  }
}

/// Why a value can't be converted.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JsValueError {
  /// Bytes that are no structured clone.
  #[error("could not deserialize value")]
  Malformed,
  /// The value holds something that only JavaScript has: an error, a regular expression, a host
  /// object, an object that holds itself.
  #[error("the value holds {0}, which has no form in Rust")]
  NoRustForm(&'static str),
  /// The value is nested deeper than 200 levels.
  #[error("the value is nested too deep")]
  TooDeep,
  /// It does not fit the type that was asked for, or that type has no JavaScript form.
  #[error("{0}")]
  Serde(String),
}

conversions! {
  JsValue:
  bool => |value| Self::Bool(value);
  f64 => |value| Self::Number(value);
  i32 => |value| Self::Number(value.into());
  u32 => |value| Self::Number(value.into());
  BigInt => |value| Self::BigInt(value);
  &str => |value| Self::String(value.to_owned());
  String => |value| Self::String(value);
  Vec<u8> => |value| Self::Bytes(value);
  Vec<JsValue> => |value| Self::Array(value);
}

impl From<JsValue> for Value {
  /// As JavaScript would store it: a `Uint8Array` as its bytes, a `KvU64` as a number, anything else as
  /// a structured clone. (A `KvU64` inside another value is stored as a bigint.)
  fn from(value: JsValue) -> Self {
    match value {
      JsValue::U64(number) => Self::U64(number),
      JsValue::Bytes(bytes) => Self::Bytes(bytes),
      other => Self::V8(encode::clone_of(&other)),
    }
  }
}

impl Value {
  /// The structured clone of it: what a message is. A `KvU64` is an object there, as in Deno.
  pub(crate) fn into_clone(self) -> Vec<u8> {
    match self {
      Self::V8(bytes) => bytes,
      Self::Bytes(bytes) | Self::Unknown { bytes, .. } => encode::clone_of(&JsValue::Bytes(bytes)),
      Self::U64(number) => {
        let number = JsValue::BigInt(number.into());
        encode::clone_of(&JsValue::object([("value", number)]))
      }
    }
  }

  /// The JavaScript value that is stored.
  ///
  /// # Errors
  /// The bytes are not a structured clone, or hold a value that has no form in Rust.
  pub fn to_js(&self) -> Result<JsValue, JsValueError> {
    match self {
      Self::U64(number) => Ok(JsValue::U64(*number)),
      Self::Bytes(bytes) => Ok(JsValue::Bytes(bytes.clone())),
      Self::V8(bytes) => decode::value_of(bytes),
      Self::Unknown { .. } => Err(JsValueError::Malformed),
    }
  }
}

macro_rules! value_from {
  ($($type:ty),*) => {
    $(
      impl From<$type> for Value {
        fn from(value: $type) -> Self {
          JsValue::from(value).into()
        }
      }
    )*
  };
}

value_from!(bool, f64, i32, u32, BigInt, &str, String, Vec<u8>);

#[cfg(test)]
mod tests;
