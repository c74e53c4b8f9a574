use deno_core::v8;

use crate::error::OpError;
use crate::ops::codec::Codec;
use crate::ops::key::bytes_to_v8;

/// What reading a clone takes beside the engine's interface.
impl<'s> Codec<'s> {
  /// The object's own property, if it has one of that name.
  pub(in crate::ops) fn get_own<'t>(
    &self,
    scope: &mut v8::PinScope<'t, '_>,
    object: v8::Local<'t, v8::Object>,
    name: &str,
  ) -> Result<Option<v8::Local<'t, v8::Value>>, OpError> {
    let name = self.name(scope, name)?;
    match object.has_own_property(scope, name.into()) {
      Some(true) => object
        .get(scope, name.into())
        .map(Some)
        .ok_or(OpError::Pending),
      Some(false) => Ok(None),
      None => Err(OpError::Pending),
    }
  }

  /// Calls one of the functions.
  pub(in crate::ops) fn call(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    args: &[v8::Local<'s, v8::Value>],
  ) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let function = self.function(scope, name)?;
    let receiver = v8::undefined(scope).into();
    function.call(scope, receiver, args).ok_or(OpError::Pending)
  }

  /// The string of these code units.
  pub(in crate::ops) fn make_string(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    units: &[u16],
  ) -> Result<v8::Local<'s, v8::String>, OpError> {
    let well_formed = !char::decode_utf16(units.iter().copied()).any(|unit| unit.is_err());
    if cfg!(not(feature = "quickjs")) || well_formed {
      return v8::String::new_from_two_byte(scope, units, v8::NewStringType::Normal)
        .ok_or(OpError::Pending);
    }
    // QuickJS would replace a lone surrogate.
    let bytes = units.iter().flat_map(|unit| unit.to_ne_bytes()).collect();
    let bytes = bytes_to_v8(scope, bytes)?;
    let string = self.call(scope, "fromCodeUnits", &[bytes.into()])?;
    v8::Local::<v8::String>::try_from(string).map_err(|_| OpError::Deserialize)
  }
}
