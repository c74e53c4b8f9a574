use deno_core::v8;

use crate::error::OpError;
use crate::ops::codec::{Codec, brand, is_faithful, string_units, throw_type_error, view_bytes};
use crate::ops::protocol::CLASS_OBJECT;

/// What writing a clone takes beside the engine's interface.
impl<'s> Codec<'s> {
  /// What a host object (a `Blob`, say) keeps under its brand: the function that describes it.
  pub(in crate::ops) fn host_object(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<Option<v8::Local<'s, v8::Value>>, OpError> {
    let brand = brand(scope)?;
    match object.has(scope, brand.into()) {
      Some(true) => object
        .get(scope, brand.into())
        .map(Some)
        .ok_or(OpError::Pending),
      Some(false) => Ok(None),
      None => Err(OpError::Pending),
    }
  }

  /// Which of the classes of `protocol` an object is of.
  #[cfg(feature = "quickjs")]
  pub(in crate::ops) fn class_of(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<i32, OpError> {
    // The engine's interface goes by Object.prototype.toString, which a script can lie to, or replace.
    let class = self.call(scope, "classOf", &[object.into()])?;
    Ok(class.int32_value(scope).unwrap_or(CLASS_OBJECT))
  }

  /// Which of the classes of `protocol` an object is of.
  #[cfg(not(feature = "quickjs"))]
  pub(in crate::ops) fn class_of(
    &self,
    _: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<i32, OpError> {
    use crate::ops::protocol::{
      CLASS_ARRAY_BUFFER, CLASS_BOXED, CLASS_DATA_VIEW, CLASS_DATE, CLASS_MAP, CLASS_OPAQUE,
      CLASS_REGEXP, CLASS_SET,
    };
    let is_boxed = object.is_boolean_object()
      || object.is_number_object()
      || object.is_string_object()
      || object.is_big_int_object();
    let is_opaque = object.is_weak_map()
      || object.is_weak_set()
      || object.is_shared_array_buffer()
      || object.is_symbol_object()
      || object.is_generator_object()
      || object.is_map_iterator()
      || object.is_set_iterator()
      || object.is_arguments_object();
    Ok(if object.is_date() {
      CLASS_DATE
    } else if object.is_map() {
      CLASS_MAP
    } else if object.is_set() {
      CLASS_SET
    } else if object.is_reg_exp() {
      CLASS_REGEXP
    } else if object.is_array_buffer() {
      CLASS_ARRAY_BUFFER
    } else if object.is_data_view() {
      CLASS_DATA_VIEW
    } else if is_boxed {
      CLASS_BOXED
    } else if is_opaque {
      CLASS_OPAQUE
    } else {
      CLASS_OBJECT
    })
  }

  /// Whether the object has a state that a clone can't take: a `Promise`, a `WeakMap`, an iterator.
  pub(in crate::ops) fn is_opaque(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<bool, OpError> {
    if object.is_promise() {
      return Ok(true);
    }
    Ok(self.call(scope, "isOpaque", &[object.into()])?.is_true())
  }

  /// Throws a `TypeError`.
  pub(in crate::ops) fn throw_type_error(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    message: &str,
  ) -> OpError {
    throw_type_error(scope, message);
    OpError::Pending
  }

  /// Throws a `RangeError`.
  pub(in crate::ops) fn throw_range_error(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    message: &str,
  ) -> OpError {
    if let Some(message) = v8::String::new(scope, message) {
      let error = v8::Exception::range_error(scope, message);
      scope.throw_exception(error);
    }
    OpError::Pending
  }

  /// The UTF-16 code units of a string, lone surrogates included.
  pub(in crate::ops) fn units(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    string: v8::Local<'s, v8::String>,
  ) -> Result<Vec<u16>, OpError> {
    let units = string_units(scope, string);
    if is_faithful(scope, string, &units) {
      return Ok(units);
    }
    let exact = self.call(scope, "codeUnits", &[string.into()])?;
    let exact =
      v8::Local::<v8::ArrayBufferView>::try_from(exact).map_err(|_| OpError::Serialize)?;
    let bytes = view_bytes(exact);
    Ok(
      bytes
        .chunks_exact(2)
        .map(|unit| u16::from_ne_bytes([unit[0], unit[1]]))
        .collect(),
    )
  }
}
