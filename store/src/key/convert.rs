use num_bigint::BigInt;

use super::{Key, KeyPart};
use crate::conversions::conversions;

// As in JavaScript: integers of up to 32 bits become numbers, those of 64 bits and more bigints.
conversions! {
  KeyPart:
  &str => |value| Self::String(value.to_owned());
  String => |value| Self::String(value);
  &String => |value| Self::String(value.clone());
  &[u8] => |value| Self::Bytes(value.to_vec());
  Vec<u8> => |value| Self::Bytes(value);
  bool => |value| Self::Bool(value);
  f64 => |value| Self::Number(value);
  i32 => |value| Self::Number(value.into());
  u32 => |value| Self::Number(value.into());
  i64 => |value| Self::BigInt(value.into());
  u64 => |value| Self::BigInt(value.into());
  i128 => |value| Self::BigInt(value.into());
  u128 => |value| Self::BigInt(value.into());
  BigInt => |value| Self::BigInt(value);
}

impl<P: Into<KeyPart>> FromIterator<P> for Key {
  fn from_iter<I: IntoIterator<Item = P>>(parts: I) -> Self {
    Self(parts.into_iter().map(Into::into).collect())
  }
}

impl<P: Into<KeyPart>, const N: usize> From<[P; N]> for Key {
  fn from(parts: [P; N]) -> Self {
    parts.into_iter().collect()
  }
}

impl From<&Key> for Key {
  fn from(key: &Key) -> Self {
    key.clone()
  }
}

/// A [`Key`](crate::key::Key) of parts: strings, `bool`, bytes (`Vec<u8>`, `&[u8]`), numbers (`i32`,
/// `u32`, `f64`) and bigints (`i64`, `u64`, `i128`, `u128`, `BigInt`).
///
/// ```
/// use kv_store::key;
///
/// let id = 7;
/// let key = key!["users", id, true];
/// assert_eq!(key.to_string(), r#"["users", 7, true]"#);
/// assert_eq!(key!["logs", 7_u64].to_string(), r#"["logs", 7n]"#);
/// ```
#[macro_export]
macro_rules! key {
  ($($part:expr),* $(,)?) => {
    $crate::key::Key(vec![$($crate::key::KeyPart::from($part)),*])
  };
}
