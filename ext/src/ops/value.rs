use deno_core::v8::{ValueDeserializerHelper, ValueSerializerHelper};
use deno_core::{op2, v8};

use super::key::bytes_to_v8;
use super::rethrow;
use crate::error::KvError;
use crate::value::Value;

/// How `js/` says what a value is: the encoding numbers of the database, so that one list serves
/// both.
pub(super) const KIND_V8: i32 = 1;
pub(super) const KIND_U64: i32 = 2;
pub(super) const KIND_BYTES: i32 = 3;

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

fn throw_type_error(scope: &mut v8::PinScope<'_, '_>, message: &str) {
  if let Some(message) = v8::String::new(scope, message) {
    let error = v8::Exception::type_error(scope, message);
    scope.throw_exception(error);
  }
}

/// V8's wire format of a value, for storage.
pub(super) fn serialize(
  scope: &mut v8::PinScope<'_, '_>,
  value: v8::Local<v8::Value>,
) -> Result<Vec<u8>, KvError> {
  let name = v8::String::new(scope, "Deno.core.hostObject").ok_or(KvError::Pending)?;
  let brand = v8::Symbol::for_key(scope, name);
  let serializer = v8::ValueSerializer::new(scope, Box::new(Serializer { brand }));
  serializer.write_header();
  match serializer.write_value(scope.get_current_context(), value) {
    Some(true) => Ok(serializer.release()),
    Some(false) => Err(KvError::Serialize),
    None => Err(KvError::Pending),
  }
}

struct Deserializer<'a> {
  /// From the name of a host object's type to the function that makes one.
  by_type: v8::Local<'a, v8::Object>,
}

impl v8::ValueDeserializerImpl for Deserializer<'_> {
  fn read_host_object<'s>(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    deserializer: &dyn v8::ValueDeserializerHelper,
  ) -> Option<v8::Local<'s, v8::Object>> {
    let mut marker = 0;
    if deserializer.read_uint32(&mut marker)
      && marker == HOST_OBJECT
      && let Some(description) = deserializer.read_value(scope.get_current_context())
      && let Ok(object) = v8::Local::<v8::Object>::try_from(description)
    {
      let name = v8::String::new(scope, "type")?;
      let name = object.get(scope, name.into())?;
      let make = self.by_type.get(scope, name)?;
      if let Ok(make) = v8::Local::<v8::Function>::try_from(make) {
        // The engine forbids scripts while it deserializes; this one is deno_web's.
        v8::allow_javascript_execution_scope!(let scope, scope);
        let receiver = v8::null(scope).into();
        let made = make.call(scope, receiver, &[description])?;
        return v8::Local::<v8::Object>::try_from(made).ok();
      }
    }
    throw_type_error(scope, "Failed to deserialize host object");
    None
  }
}

fn deserialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  bytes: &[u8],
  by_type: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, KvError> {
  let deserializer = v8::ValueDeserializer::new(scope, Box::new(Deserializer { by_type }), bytes);
  let context = scope.get_current_context();
  match deserializer.read_header(context) {
    Some(true) => deserializer.read_value(context).ok_or(KvError::Deserialize),
    _ => Err(KvError::Deserialize),
  }
}

/// The JavaScript value of a stored one. `make_u64` is the class `Deno.KvU64`.
pub(super) fn to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  value: Value,
  decoders: &Decoders<'s>,
) -> Result<v8::Local<'s, v8::Value>, KvError> {
  match value {
    Value::V8(bytes) => deserialize(scope, &bytes, decoders.host_objects),
    Value::Bytes(bytes) => Ok(bytes_to_v8(scope, bytes)?.into()),
    Value::U64(number) => {
      let number = v8::BigInt::new_from_u64(scope, number).into();
      let made = decoders.u64_class.new_instance(scope, &[number]);
      made.map(Into::into).ok_or(KvError::Pending)
    }
  }
}

/// What `js/` gives to make values from stored ones.
pub(super) struct Decoders<'s> {
  /// `core.getCloneableDeserializers()`: functions that make host objects, by type.
  pub(super) host_objects: v8::Local<'s, v8::Object>,
  /// The class `Deno.KvU64`.
  pub(super) u64_class: v8::Local<'s, v8::Function>,
}

/// The stored form of a value that `js/` has sorted into its kind.
pub(super) fn from_v8(
  scope: &mut v8::PinScope<'_, '_>,
  kind: i32,
  value: v8::Local<v8::Value>,
) -> Result<Value, KvError> {
  match kind {
    KIND_U64 => {
      let number = v8::Local::<v8::BigInt>::try_from(value).map_err(|_| KvError::Serialize)?;
      Ok(Value::U64(number.u64_value().0))
    }
    KIND_BYTES => view_bytes(value).map(Value::Bytes),
    _ => serialize(scope, value).map(Value::V8),
  }
}

/// The bytes a `Uint8Array` shows.
pub(super) fn view_bytes(value: v8::Local<v8::Value>) -> Result<Vec<u8>, KvError> {
  let view = v8::Local::<v8::ArrayBufferView>::try_from(value).map_err(|_| KvError::Serialize)?;
  let mut bytes = vec![0; view.byte_length()];
  let copied = view.copy_contents(&mut bytes);
  bytes.truncate(copied);
  Ok(bytes)
}

/// Serializes a value that is neither a `Uint8Array` nor a `KvU64`, for an atomic operation to
/// keep until it is committed.
#[op2(reentrant)]
pub fn op_kv_serialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  value: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, KvError> {
  v8::tc_scope!(let scope, scope);
  let bytes = serialize(scope, value).and_then(|bytes| bytes_to_v8(scope, bytes));
  rethrow(scope, bytes.map(Into::into))
}

/// The value back, for `console.log` to show an atomic operation.
#[op2(reentrant)]
pub fn op_kv_deserialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[buffer] bytes: &[u8],
  host_objects: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, KvError> {
  v8::tc_scope!(let scope, scope);
  let value = deserialize(scope, bytes, host_objects);
  rethrow(scope, value)
}
