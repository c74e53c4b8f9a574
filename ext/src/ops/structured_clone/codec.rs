use deno_core::v8;

use crate::error::KvError;
use crate::ops::codec::{Codec, brand, is_faithful, string_units, throw_type_error, view_bytes};
use crate::ops::key::bytes_to_v8;

/// What walking a value takes beside the engine's interface.
impl<'s> Codec<'s> {
  /// The object's own property, if it has one of that name.
  pub(in crate::ops) fn get_own(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    name: &str,
  ) -> Result<Option<v8::Local<'s, v8::Value>>, KvError> {
    let name = self.name(scope, name)?;
    match object.has_own_property(scope, name.into()) {
      Some(true) => object
        .get(scope, name.into())
        .map(Some)
        .ok_or(KvError::Pending),
      Some(false) => Ok(None),
      None => Err(KvError::Pending),
    }
  }

  /// Calls one of the functions.
  pub(in crate::ops) fn call(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    args: &[v8::Local<'s, v8::Value>],
  ) -> Result<v8::Local<'s, v8::Value>, KvError> {
    let function = self.function(scope, name)?;
    let receiver = v8::undefined(scope).into();
    function.call(scope, receiver, args).ok_or(KvError::Pending)
  }

  /// What a host object (a `Blob`, say) keeps under its brand: the function that describes it.
  pub(in crate::ops) fn host_object(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<Option<v8::Local<'s, v8::Value>>, KvError> {
    let brand = brand(scope)?;
    match object.has(scope, brand.into()) {
      Some(true) => object
        .get(scope, brand.into())
        .map(Some)
        .ok_or(KvError::Pending),
      Some(false) => Ok(None),
      None => Err(KvError::Pending),
    }
  }

  /// Whether the object has a state that a clone can't take: a `Promise`, a `WeakMap`, an iterator.
  pub(in crate::ops) fn is_opaque(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<bool, KvError> {
    if object.is_promise()
      || object.is_weak_map()
      || object.is_weak_set()
      || object.is_generator_object()
      || object.is_map_iterator()
      || object.is_set_iterator()
      || object.is_shared_array_buffer()
      || object.is_symbol_object()
      || object.is_arguments_object()
    {
      return Ok(true);
    }
    Ok(self.call(scope, "isOpaque", &[object.into()])?.is_true())
  }

  /// Throws a `TypeError`.
  pub(in crate::ops) fn throw_type_error(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    message: &str,
  ) -> KvError {
    throw_type_error(scope, message);
    KvError::Pending
  }

  /// Throws a `RangeError`.
  pub(in crate::ops) fn throw_range_error(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    message: &str,
  ) -> KvError {
    if let Some(message) = v8::String::new(scope, message) {
      let error = v8::Exception::range_error(scope, message);
      scope.throw_exception(error);
    }
    KvError::Pending
  }

  /// The UTF-16 code units of a string, lone surrogates included.
  pub(in crate::ops) fn units(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    string: v8::Local<'s, v8::String>,
  ) -> Result<Vec<u16>, KvError> {
    let units = string_units(scope, string);
    if is_faithful(scope, string, &units) {
      return Ok(units);
    }
    let exact = self.call(scope, "codeUnits", &[string.into()])?;
    let exact =
      v8::Local::<v8::ArrayBufferView>::try_from(exact).map_err(|_| KvError::Serialize)?;
    let bytes = view_bytes(exact);
    Ok(
      bytes
        .chunks_exact(2)
        .map(|unit| u16::from_ne_bytes([unit[0], unit[1]]))
        .collect(),
    )
  }

  /// The string of these code units.
  pub(in crate::ops) fn make_string(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    units: &[u16],
  ) -> Result<v8::Local<'s, v8::String>, KvError> {
    let well_formed = !char::decode_utf16(units.iter().copied()).any(|unit| unit.is_err());
    if cfg!(not(feature = "quickjs")) || well_formed {
      return v8::String::new_from_two_byte(scope, units, v8::NewStringType::Normal)
        .ok_or(KvError::Pending);
    }
    // QuickJS would replace a lone surrogate.
    let bytes = units.iter().flat_map(|unit| unit.to_ne_bytes()).collect();
    let bytes = bytes_to_v8(scope, bytes)?;
    let string = self.call(scope, "fromCodeUnits", &[bytes.into()])?;
    v8::Local::<v8::String>::try_from(string).map_err(|_| KvError::Deserialize)
  }
}
