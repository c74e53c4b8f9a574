//! Converts Rust types to and from JavaScript values with serde, by way of JSON, plus a few types that JSON lacks.

use num_bigint::BigInt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value as Json};

use super::{JsValue, JsValueError};
use crate::value::Value;

/// The largest integer up to which a JavaScript number is exact: `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

impl Value {
  /// Converts a Rust value to a JavaScript value: a struct or a map becomes an object, a sequence an array, `None`
  /// null. An integer beyond 2^53 - 1 becomes a bigint, since a number can't hold it exactly.
  ///
  /// ```
  /// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
  /// struct User { name: String, age: Option<u8> }
  ///
  /// let ada = User { name: "Ada".into(), age: None };
  /// let value = kv_store::Value::serialize(&ada)?;
  /// assert_eq!(value.deserialize::<User>()?, ada);
  /// # Ok::<(), kv_store::JsValueError>(())
  /// ```
  ///
  /// # Errors
  /// The type has no form in JSON: its own `Serialize` fails, or a map's keys are no strings.
  pub fn serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsValueError> {
    let json = serde_json::to_value(value).map_err(explain)?;
    Ok(JsValue::from(json).into())
  }

  /// Converts the stored JavaScript value to a Rust value, as if by way of JSON: undefined properties are missing, a
  /// `Map` with string keys is a map, a `Set` a sequence. Of the values that JSON lacks, a `Date` becomes its
  /// milliseconds, a bigint or a `KvU64` an integer, and bytes a sequence of integers.
  ///
  /// # Errors
  /// The value does not fit the type, or has no form in Rust.
  pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, JsValueError> {
    serde_json::from_value(to_json(self.to_js()?)?).map_err(explain)
  }
}

fn explain(error: serde_json::Error) -> JsValueError {
  JsValueError::Serde(error.to_string())
}

impl From<Json> for JsValue {
  fn from(json: Json) -> Self {
    match json {
      Json::Null => Self::Null,
      Json::Bool(bool) => Self::Bool(bool),
      Json::Number(number) => from_number(&number),
      Json::String(string) => Self::String(string),
      Json::Array(elements) => Self::array(elements.into_iter().map(Self::from)),
      Json::Object(properties) => Self::object(
        properties
          .into_iter()
          .map(|(key, value)| (key, Self::from(value))),
      ),
    }
  }
}

fn from_number(number: &Number) -> JsValue {
  if let Some(integer) = number
    .as_i64()
    .filter(|i| i.unsigned_abs() > MAX_SAFE_INTEGER)
  {
    return JsValue::BigInt(BigInt::from(integer));
  }
  if let Some(integer) = number
    .as_u64()
    .filter(|integer| *integer > MAX_SAFE_INTEGER)
  {
    return JsValue::BigInt(BigInt::from(integer));
  }
  JsValue::Number(number.as_f64().unwrap_or(f64::NAN))
}

fn to_json(value: JsValue) -> Result<Json, JsValueError> {
  Ok(match value {
    JsValue::Undefined | JsValue::Null => Json::Null,
    JsValue::Bool(bool) => Json::Bool(bool),
    JsValue::Number(number) | JsValue::Date(number) => number_to_json(number),
    JsValue::BigInt(number) => {
      let number = i64::try_from(&number)
        .map(Number::from)
        .or_else(|_| u64::try_from(&number).map(Number::from))
        .map_err(|_| JsValueError::NoRustForm("a bigint of more than 64 bits"))?;
      Json::Number(number)
    }
    JsValue::U64(number) => Json::Number(number.into()),
    JsValue::String(string) => Json::String(string),
    JsValue::Bytes(bytes) => Json::Array(bytes.into_iter().map(Json::from).collect()),
    JsValue::Array(values) | JsValue::Set(values) => {
      let values = values.into_iter().map(to_json);
      Json::Array(values.collect::<Result<_, _>>()?)
    }
    JsValue::Object(properties) => {
      let properties = properties
        .into_iter()
        .filter(|(_, value)| *value != JsValue::Undefined)
        .map(|(key, value)| Ok((key, to_json(value)?)));
      Json::Object(properties.collect::<Result<Map<_, _>, JsValueError>>()?)
    }
    JsValue::Map(entries) => {
      let entries = entries.into_iter().map(|(key, value)| match key {
        JsValue::String(key) => Ok((key, to_json(value)?)),
        _ => Err(JsValueError::NoRustForm("a Map whose keys are no strings")),
      });
      Json::Object(entries.collect::<Result<Map<_, _>, JsValueError>>()?)
    }
  })
}

fn number_to_json(number: f64) -> Json {
  // A whole number becomes a JSON integer: serde reads no Rust integer from a JSON float.
  if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64 {
    return Json::from(number as i64);
  }
  Number::from_f64(number).map_or(Json::Null, Json::Number)
}
