use deno_core::v8;

use crate::error::OpError;

/// What `js/codec.js` lends to make JavaScript values from stored ones and back: classes and
/// functions taken from the primordials, which no script can have patched. Its properties are
/// looked up when they are needed; most values need none.
pub(super) struct Codec<'s> {
  pub(super) object: v8::Local<'s, v8::Object>,
}

impl<'s> Codec<'s> {
  pub(super) fn new(object: v8::Local<'s, v8::Object>) -> Self {
    Self { object }
  }

  /// A property name, as the engine keeps names.
  pub(super) fn name<'t>(
    &self,
    scope: &mut v8::PinScope<'t, '_>,
    name: &str,
  ) -> Result<v8::Local<'t, v8::String>, OpError> {
    v8::String::new_from_one_byte(scope, name.as_bytes(), v8::NewStringType::Internalized)
      .ok_or(OpError::Pending)
  }

  pub(super) fn get<'t>(
    &self,
    scope: &mut v8::PinScope<'t, '_>,
    object: v8::Local<v8::Object>,
    name: &str,
  ) -> Result<v8::Local<'t, v8::Value>, OpError> {
    let name = self.name(scope, name)?;
    object.get(scope, name.into()).ok_or(OpError::Pending)
  }

  pub(super) fn function(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
  ) -> Result<v8::Local<'s, v8::Function>, OpError> {
    let function = self.get(scope, self.object, name)?;
    v8::Local::<v8::Function>::try_from(function).map_err(|_| OpError::Serialize)
  }

  /// A `Deno.KvU64`.
  pub(super) fn make_u64(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    number: u64,
  ) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let class = self.function(scope, "KvU64")?;
    let number = v8::BigInt::new_from_u64(scope, number).into();
    class
      .new_instance(scope, &[number])
      .map(Into::into)
      .ok_or(OpError::Pending)
  }

  /// The registered maker of the host object that is described. `None`: no extension here has registered one, or
  /// the value is no description.
  fn maker<'t>(
    &self,
    scope: &mut v8::PinScope<'t, '_>,
    description: v8::Local<'t, v8::Value>,
  ) -> Result<Option<v8::Local<'t, v8::Function>>, OpError> {
    let by_type = self.get(scope, self.object, "hostObjects")?;
    let (Ok(description), Ok(by_type)) = (
      v8::Local::<v8::Object>::try_from(description),
      v8::Local::<v8::Object>::try_from(by_type),
    ) else {
      return Ok(None);
    };
    // Own properties only: those of a prototype are the script's.
    let name = self.get_own(scope, description, "type")?;
    // Not by the conversion alone: on QuickJS it calls the toString of an object.
    let name = name
      .filter(|name| name.is_string())
      .and_then(|name| v8::Local::<v8::Name>::try_from(name).ok());
    let Some(name) = name else {
      return Ok(None);
    };
    if by_type.has_own_property(scope, name) != Some(true) {
      return Ok(None);
    }
    let make = by_type.get(scope, name.into()).ok_or(OpError::Pending)?;
    Ok(v8::Local::<v8::Function>::try_from(make).ok())
  }

  /// The host object that was described.
  pub(super) fn make_host_object(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    description: v8::Local<'s, v8::Value>,
  ) -> Result<v8::Local<'s, v8::Object>, OpError> {
    let make = self.maker(scope, description)?;
    let make = make.ok_or(OpError::Deserialize)?;
    let receiver = v8::null(scope).into();
    let made = make
      .call(scope, receiver, &[description])
      .ok_or(OpError::Pending)?;
    v8::Local::<v8::Object>::try_from(made).map_err(|_| OpError::Deserialize)
  }

  /// Asks an object that says it is a host object (`describe` is what it has under its brand) for its description.
  /// One that nothing could make an object of again is refused: [`OpError::Pending`].
  pub(super) fn describe_host_object<'t>(
    &self,
    scope: &mut v8::PinScope<'t, '_>,
    object: v8::Local<'t, v8::Object>,
    describe: v8::Local<'t, v8::Value>,
  ) -> Result<v8::Local<'t, v8::Value>, OpError> {
    if let Ok(describe) = v8::Local::<v8::Function>::try_from(describe) {
      let description = describe.call(scope, object.into(), &[]);
      let description = description.ok_or(OpError::Pending)?;
      if self.maker(scope, description)?.is_some() {
        return Ok(description);
      }
    }
    throw_type_error(scope, "Unsupported object type");
    Err(OpError::Pending)
  }
}

/// The symbol that marks a host object.
pub(super) fn brand<'s>(
  scope: &mut v8::PinScope<'s, '_>,
) -> Result<v8::Local<'s, v8::Symbol>, OpError> {
  let name = v8::String::new(scope, "Deno.core.hostObject").ok_or(OpError::Pending)?;
  Ok(v8::Symbol::for_key(scope, name))
}

/// The UTF-16 code units of a string.
pub(super) fn string_units(
  scope: &mut v8::PinScope<'_, '_>,
  string: v8::Local<v8::String>,
) -> Vec<u16> {
  let mut units = vec![0; string.length()];
  string.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
  units
}

/// Whether these units are the string's. QuickJS hands out a lone surrogate as three replacement
/// characters, so that the length tells.
pub(super) fn is_faithful(
  scope: &mut v8::PinScope<'_, '_>,
  string: v8::Local<v8::String>,
  units: &[u16],
) -> bool {
  const REPLACEMENT: u16 = 0xfffd;
  if !units.contains(&REPLACEMENT) {
    return true;
  }
  // An own property of every string, which no script can change.
  let length = v8::Local::<v8::Value>::from(string)
    .to_object(scope)
    .and_then(|object| {
      let name = v8::String::new(scope, "length")?;
      object.get(scope, name.into())?.uint32_value(scope)
    });
  length.is_some_and(|length| length as usize == units.len())
}

/// A value as a view whose bytes may be read.
///
/// QuickJS reads the offset and the length of a `DataView` as properties, which a script may have set to anything, and
/// takes any object for one that says so: only typed arrays are safe there.
pub(super) fn as_view<'s>(
  value: v8::Local<'s, v8::Value>,
) -> Option<v8::Local<'s, v8::ArrayBufferView>> {
  if cfg!(feature = "quickjs") && !value.is_typed_array() {
    return None;
  }
  v8::Local::<v8::ArrayBufferView>::try_from(value).ok()
}

/// The bytes a view shows.
/// The bytes of a value, if it is a view.
pub(super) fn bytes_of_view(
  scope: &mut v8::PinScope<'_, '_>,
  value: v8::Local<v8::Value>,
) -> Option<Vec<u8>> {
  if let Some(view) = as_view(value) {
    return Some(view_bytes(view));
  }
  // On QuickJS, a `DataView`, or what says so: the engine checks the bounds of a typed array over its buffer.
  let view = v8::Local::<v8::ArrayBufferView>::try_from(value).ok()?;
  let (offset, length) = (view.byte_offset(), view.byte_length());
  let buffer = view.buffer(scope)?;
  let bytes = v8::Uint8Array::new(scope, buffer, offset, length)?;
  Some(view_bytes(bytes.into()))
}

/// Nothing, of what [`as_view`] does not let through.
pub(super) fn view_bytes(view: v8::Local<v8::ArrayBufferView>) -> Vec<u8> {
  if as_view(view.into()).is_none() {
    return Vec::new();
  }
  let mut bytes = vec![0; view.byte_length()];
  let copied = view.copy_contents(&mut bytes);
  bytes.truncate(copied);
  bytes
}

/// Throws a `TypeError`.
pub(super) fn throw_type_error(scope: &mut v8::PinScope<'_, '_>, message: &str) {
  if let Some(message) = v8::String::new(scope, message) {
    let error = v8::Exception::type_error(scope, message);
    scope.throw_exception(error);
  }
}
