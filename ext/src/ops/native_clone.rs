//! Structured clones by the engine's own serializer, for V8, whose format is the one of the files.
//!
//! No script runs while V8 reads a clone: it would get hold of objects that are half-built. Where V8 would need
//! one, for a host object, our own reader takes over from the start.

use std::cell::Cell;
use std::rc::Rc;

use deno_core::v8;
use deno_core::v8::{ValueDeserializerHelper, ValueSerializerHelper};

use super::codec::{Codec, brand, throw_type_error};
use super::structured_clone;
use crate::error::OpError;
use kv_store::wire;

/// Written before a host object's own data, in place of an index: what follows is a plain object
/// that names its type, and the deserializer for that type makes the host object of it. Deno
/// writes the same.
const HOST_OBJECT: u32 = u32::MAX;

/// Serializes for storage: what belongs to this process, as shared memory does, is refused.
struct Serializer<'a> {
  /// The symbol under which a host object (a `Blob`, say) keeps the function that describes it.
  brand: v8::Local<'a, v8::Symbol>,
  codec: v8::Local<'a, v8::Object>,
}

impl v8::ValueSerializerImpl for Serializer<'_> {
  fn throw_data_clone_error<'s>(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    message: v8::Local<'s, v8::String>,
  ) {
    let error = v8::Exception::type_error(scope, message);
    scope.throw_exception(error);
  }

  fn get_wasm_module_transfer_id(
    &self,
    scope: &mut v8::PinScope<'_, '_>,
    _module: v8::Local<v8::WasmModuleObject>,
  ) -> Option<u32> {
    throw_type_error(scope, "Wasm modules cannot be stored");
    None
  }

  fn has_custom_host_object(&self, _isolate: &v8::Isolate) -> bool {
    true
  }

  fn is_host_object<'s>(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Option<bool> {
    object.has(scope, self.brand.into())
  }

  fn write_host_object<'s>(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    serializer: &dyn v8::ValueSerializerHelper,
  ) -> Option<bool> {
    let describe = object.get(scope, self.brand.into())?;
    let codec = Codec::new(self.codec);
    let described = codec.describe_host_object(scope, object, describe);
    // Else an exception is pending.
    let description = described.ok()?;
    serializer.write_uint32(HOST_OBJECT);
    serializer.write_value(scope.get_current_context(), description)
  }
}

/// V8's wire format of a value, for storage.
pub(super) fn serialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  value: v8::Local<'s, v8::Value>,
  codec: &Codec<'s>,
) -> Result<Vec<u8>, OpError> {
  let brand = brand(scope)?;
  let serializer = v8::ValueSerializer::new(
    scope,
    Box::new(Serializer {
      brand,
      codec: codec.object,
    }),
  );
  serializer.write_header();
  match serializer.write_value(scope.get_current_context(), value) {
    Some(true) => Ok(in_version_15(serializer.release())),
    Some(false) => Err(OpError::Serialize),
    None => Err(OpError::Pending),
  }
}

/// The same clone as one of version 15 of the format, which differs from 16 only in sizes beyond 4 GB: Node 20 and 22
/// read 15 and refuse 16. Tests compare both for every kind of value.
fn in_version_15(mut clone: Vec<u8>) -> Vec<u8> {
  const TAG: u8 = wire::tag::VERSION;
  if clone.len() < u32::MAX as usize
    && let [TAG, version @ 16, ..] = clone.as_mut_slice()
  {
    *version = 15;
  }
  clone
}

/// Stops at a host object.
struct Deserializer {
  has_met_host_object: Rc<Cell<bool>>,
}

impl v8::ValueDeserializerImpl for Deserializer {
  fn read_host_object<'s>(
    &self,
    _scope: &mut v8::PinScope<'s, '_>,
    _deserializer: &dyn v8::ValueDeserializerHelper,
  ) -> Option<v8::Local<'s, v8::Object>> {
    self.has_met_host_object.set(true);
    None
  }
}

/// The value back.
pub(super) fn deserialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  bytes: &[u8],
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let has_met_host_object = Rc::new(Cell::new(false));
  let delegate = Deserializer {
    has_met_host_object: has_met_host_object.clone(),
  };
  let deserializer = v8::ValueDeserializer::new(scope, Box::new(delegate), bytes);
  let context = scope.get_current_context();
  if deserializer.read_header(context) != Some(true) {
    return Err(OpError::Deserialize);
  }
  match deserializer.read_value(context) {
    Some(value) => Ok(value),
    None if has_met_host_object.get() => structured_clone::deserialize(scope, bytes, codec),
    None => Err(OpError::Deserialize),
  }
}
