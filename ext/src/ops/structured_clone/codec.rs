use deno_core::v8;

use crate::error::KvError;
use crate::ops::codec::{Codec, brand};

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
    {
      return Ok(true);
    }
    Ok(self.call(scope, "isWeakRef", &[object.into()])?.is_true())
  }

  /// Throws a `TypeError`.
  pub(in crate::ops) fn throw_type_error(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    message: &str,
  ) -> KvError {
    if let Some(message) = v8::String::new(scope, message) {
      let error = v8::Exception::type_error(scope, message);
      scope.throw_exception(error);
    }
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
}
