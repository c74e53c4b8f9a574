use std::fmt;

use super::{Key, KeyPart};

/// As JavaScript writes an array of these parts.
impl fmt::Display for Key {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("[")?;
    for (index, part) in self.0.iter().enumerate() {
      if index > 0 {
        f.write_str(", ")?;
      }
      part.fmt(f)?;
    }
    f.write_str("]")
  }
}

impl fmt::Display for KeyPart {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match self {
      Self::Bytes(bytes) => write!(f, "Uint8Array({bytes:?})"),
      Self::String(string) => write!(f, "{string:?}"),
      Self::BigInt(bigint) => write!(f, "{bigint}n"),
      Self::Number(number) if number.is_infinite() && number.is_sign_negative() => {
        f.write_str("-Infinity")
      }
      Self::Number(number) if number.is_infinite() => f.write_str("Infinity"),
      Self::Number(number) => write!(f, "{number}"),
      Self::Bool(bool) => write!(f, "{bool}"),
    }
  }
}
