use deno_core::{op2, v8};
use kv_store::engine::StoreError;
use kv_store::{Value, ValueRef, Versionstamp};

use super::codec::{Codec, as_view, view_bytes};
use super::key::bytes_to_v8;
// V8's own serializer is the fastest there is for its format. Other engines' write other formats.
#[cfg(not(feature = "quickjs"))]
use super::native_clone::{deserialize, serialize};
use super::protocol::{KIND_BYTES, KIND_U64, KIND_V8};
use super::rethrow;
#[cfg(feature = "quickjs")]
use super::structured_clone::{deserialize, serialize};
use crate::error::OpError;

/// The JavaScript value of a stored one.
pub(super) fn to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  value: ValueRef<'_>,
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  match value {
    // Whatever a maker of host objects has thrown: the value can't be had.
    ValueRef::V8(bytes) => deserialize(scope, bytes, codec).map_err(|_| OpError::Deserialize),
    ValueRef::Bytes(bytes) => Ok(bytes_to_v8(scope, bytes.to_vec())?.into()),
    ValueRef::U64(number) => codec.make_u64(scope, number),
    unknown => Err(
      unknown
        .decode_error()
        .map_or(OpError::Deserialize, |error| StoreError::from(error).into()),
    ),
  }
}

/// The same of a value whose bytes nobody else needs.
pub(super) fn owned_to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  value: Value,
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  match value {
    Value::Bytes(bytes) => Ok(bytes_to_v8(scope, bytes)?.into()),
    value => to_v8(scope, value.as_ref(), codec),
  }
}

/// The 20 digits of a versionstamp.
pub(super) fn versionstamp_to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  versionstamp: Versionstamp,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  v8::String::new_from_one_byte(scope, &versionstamp.to_hex(), v8::NewStringType::Normal)
    .map(Into::into)
    .ok_or(OpError::Pending)
}

/// The stored form of a value that `js/` has sorted into its kind.
pub(super) fn from_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  kind: i32,
  value: v8::Local<'s, v8::Value>,
  codec: &Codec<'s>,
) -> Result<Value, OpError> {
  match kind {
    KIND_V8 => serialize(scope, value, codec).map(Value::V8),
    kind => from_frozen(scope, kind, value),
  }
}

/// The same of a value that was frozen already, when it became part of an atomic operation.
pub(super) fn from_frozen(
  scope: &mut v8::PinScope<'_, '_>,
  kind: i32,
  value: v8::Local<v8::Value>,
) -> Result<Value, OpError> {
  match kind {
    KIND_U64 => {
      let number = v8::Local::<v8::BigInt>::try_from(value).map_err(|_| OpError::Serialize)?;
      Ok(Value::U64(number.u64_value().0))
    }
    KIND_BYTES => bytes_of(value).map(Value::Bytes),
    _ => serialized(scope, value).map(Value::V8),
  }
}

/// The bytes of a value that must be a view.
fn bytes_of(value: v8::Local<v8::Value>) -> Result<Vec<u8>, OpError> {
  let view = as_view(value).ok_or(OpError::Serialize)?;
  Ok(view_bytes(view))
}

/// Bytes for `js/` to keep. V8 makes a string in a quarter of the time that it takes for a buffer, and frees
/// it without a thought; QuickJS may not give a string back as it was.
fn keep<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  bytes: Vec<u8>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  if cfg!(feature = "quickjs") {
    return bytes_to_v8(scope, bytes).map(Into::into);
  }
  v8::String::new_from_one_byte(scope, &bytes, v8::NewStringType::Normal)
    .map(Into::into)
    .ok_or(OpError::Serialize)
}

/// The bytes that `js/` has kept of `op_kv_serialize`.
pub(super) fn serialized(
  scope: &mut v8::PinScope<'_, '_>,
  kept: v8::Local<v8::Value>,
) -> Result<Vec<u8>, OpError> {
  let Ok(string) = v8::Local::<v8::String>::try_from(kept) else {
    return bytes_of(kept);
  };
  let mut bytes = vec![0; string.length()];
  string.write_one_byte_v2(scope, 0, &mut bytes, v8::WriteFlags::empty());
  Ok(bytes)
}

/// Serializes a value that is neither a `Uint8Array` nor a `KvU64`, for an atomic operation to
/// keep until it is committed.
#[op2(reentrant)]
pub fn op_kv_serialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  value: v8::Local<'s, v8::Value>,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  v8::tc_scope!(let scope, scope);
  let kept = serialize(scope, value, &Codec::new(codec)).and_then(|bytes| keep(scope, bytes));
  rethrow(scope, kept)
}

/// The value back, for `console.log` to show an atomic operation.
#[op2(reentrant)]
pub fn op_kv_deserialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  kept: v8::Local<'s, v8::Value>,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  v8::tc_scope!(let scope, scope);
  let value =
    serialized(scope, kept).and_then(|bytes| deserialize(scope, &bytes, &Codec::new(codec)));
  rethrow(scope, value)
}
