//! What a key's value is in the database: bytes and how to read them.

/// A stored value. The variant is the value's *encoding*, a number kept beside the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
  /// Encoding 1: any structured-cloneable JavaScript value, in V8's wire format.
  V8(Vec<u8>),
  /// Encoding 2: a `Deno.KvU64`, stored little-endian in 8 bytes.
  U64(u64),
  /// Encoding 3: a `Uint8Array`, stored as it is.
  Bytes(Vec<u8>),
  /// A value that no version of this library writes: its encoding is unknown, or it is a U64 that is not 8 bytes long.
  /// It can be stored again unchanged, but not decoded.
  Unknown {
    /// The number kept beside the bytes; -1 if there is none.
    encoding: i64,
    /// The bytes.
    bytes: Vec<u8>,
  },
}

/// A [`Value`] that borrows its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'a> {
  /// As [`Value::V8`].
  V8(&'a [u8]),
  /// As [`Value::U64`].
  U64(u64),
  /// As [`Value::Bytes`].
  Bytes(&'a [u8]),
  /// As [`Value::Unknown`].
  Unknown {
    /// The number kept beside the bytes.
    encoding: i64,
    /// The bytes.
    bytes: &'a [u8],
  },
}

/// A value whose encoding number is unknown, or whose bytes don't fit it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueDecodeError {
  /// The encoding number is not 1, 2 or 3.
  #[error("The value encoding {0} is unknown.")]
  UnknownEncoding(i64),
  /// A U64 of another length than 8 bytes.
  #[error("The value in the database is marked as a U64, but has {0} bytes instead of 8")]
  U64Length(usize),
}

impl Value {
  /// Borrows the value.
  pub fn as_ref(&self) -> ValueRef<'_> {
    match self {
      Value::V8(bytes) => ValueRef::V8(bytes),
      Value::U64(number) => ValueRef::U64(*number),
      Value::Bytes(bytes) => ValueRef::Bytes(bytes),
      Value::Unknown { encoding, bytes } => ValueRef::Unknown {
        encoding: *encoding,
        bytes,
      },
    }
  }

  /// Size in bytes, as the value limit counts it.
  pub fn size(&self) -> usize {
    self.as_ref().size()
  }

  /// Calls `store` with the bytes and the encoding number to keep.
  pub fn with_stored<R>(&self, store: impl FnOnce(&[u8], i64) -> R) -> R {
    match self {
      Value::V8(bytes) => store(bytes, 1),
      Value::U64(number) => store(&number.to_le_bytes(), 2),
      Value::Bytes(bytes) => store(bytes, 3),
      Value::Unknown { encoding, bytes } => store(bytes, *encoding),
    }
  }

  /// The value that was stored as these bytes under this encoding number.
  pub fn from_stored(bytes: &[u8], encoding: i64) -> Self {
    ValueRef::from_stored(bytes, encoding).to_value()
  }
}

impl<'a> ValueRef<'a> {
  /// A copy, with bytes of its own.
  pub fn to_value(self) -> Value {
    match self {
      ValueRef::V8(bytes) => Value::V8(bytes.to_vec()),
      ValueRef::U64(number) => Value::U64(number),
      ValueRef::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
      ValueRef::Unknown { encoding, bytes } => Value::Unknown {
        encoding,
        bytes: bytes.to_vec(),
      },
    }
  }

  /// Size in bytes, as the value limit counts it.
  pub fn size(self) -> usize {
    match self {
      ValueRef::V8(bytes) | ValueRef::Bytes(bytes) | ValueRef::Unknown { bytes, .. } => bytes.len(),
      ValueRef::U64(_) => 8,
    }
  }

  /// The value that was stored as these bytes under this encoding number.
  pub fn from_stored(bytes: &'a [u8], encoding: i64) -> Self {
    match (encoding, <[u8; 8]>::try_from(bytes)) {
      (1, _) => ValueRef::V8(bytes),
      (2, Ok(number)) => ValueRef::U64(u64::from_le_bytes(number)),
      (3, _) => ValueRef::Bytes(bytes),
      _ => ValueRef::Unknown { encoding, bytes },
    }
  }

  /// Why the value can't be decoded, if it is [`Unknown`](Self::Unknown).
  pub fn decode_error(self) -> Option<ValueDecodeError> {
    match self {
      ValueRef::Unknown { encoding: 2, bytes } => Some(ValueDecodeError::U64Length(bytes.len())),
      ValueRef::Unknown { encoding, .. } => Some(ValueDecodeError::UnknownEncoding(encoding)),
      _ => None,
    }
  }
}
