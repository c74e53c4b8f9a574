//! Structured clones by the engine's own serializer, for V8, whose format is the one of the files.

use deno_core::v8;
use deno_core::v8::{ValueDeserializerHelper, ValueSerializerHelper};

use super::codec::{self, Codec, throw_type_error};
use crate::error::KvError;

/// Written before a host object's own data, in place of an index: what follows is a plain object
/// that names its type, and the deserializer for that type makes the host object of it. Deno
/// writes the same.
const HOST_OBJECT: u32 = u32::MAX;

/// Serializes for storage: what belongs to this process, as shared memory does, is refused.
struct Serializer<'a> {
  /// The symbol under which a host object (a `Blob`, say) keeps the function that describes it.
  brand: v8::Local<'a, v8::Symbol>,
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
    let Ok(describe) = v8::Local::<v8::Function>::try_from(describe) else {
      throw_type_error(scope, "Unsupported object type");
      return None;
    };
    let description = describe.call(scope, object.into(), &[])?;
    serializer.write_uint32(HOST_OBJECT);
    serializer.write_value(scope.get_current_context(), description)
  }
}

/// V8's wire format of a value, for storage.
pub(super) fn serialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  value: v8::Local<'s, v8::Value>,
  _codec: &Codec<'s>,
) -> Result<Vec<u8>, KvError> {
  let brand = codec::brand(scope)?;
  let serializer = v8::ValueSerializer::new(scope, Box::new(Serializer { brand }));
  serializer.write_header();
  match serializer.write_value(scope.get_current_context(), value) {
    Some(true) => Ok(serializer.release()),
    Some(false) => Err(KvError::Serialize),
    None => Err(KvError::Pending),
  }
}

struct Deserializer<'a, 's> {
  codec: &'a Codec<'s>,
}

impl v8::ValueDeserializerImpl for Deserializer<'_, '_> {
  fn read_host_object<'s>(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    deserializer: &dyn v8::ValueDeserializerHelper,
  ) -> Option<v8::Local<'s, v8::Object>> {
    let mut marker = 0;
    if deserializer.read_uint32(&mut marker)
      && marker == HOST_OBJECT
      && let Some(description) = deserializer.read_value(scope.get_current_context())
    {
      // The engine forbids scripts while it deserializes; this one is deno_web's.
      v8::allow_javascript_execution_scope!(let scope, scope);
      if let Ok(object) = self.codec.make_host_object(scope, description) {
        return Some(object);
      }
    }
    throw_type_error(scope, "Failed to deserialize host object");
    None
  }
}

/// The value back.
pub(super) fn deserialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  bytes: &[u8],
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, KvError> {
  let deserializer = v8::ValueDeserializer::new(scope, Box::new(Deserializer { codec }), bytes);
  let context = scope.get_current_context();
  match deserializer.read_header(context) {
    Some(true) => deserializer.read_value(context).ok_or(KvError::Deserialize),
    _ => Err(KvError::Deserialize),
  }
}
