use std::collections::HashMap;

use deno_core::v8;
use kv_store::wire::{REGEXP_FLAGS, Writer, tag};

use super::StackLimit;
use crate::error::OpError;
use crate::ops::codec::{Codec, as_view, view_bytes};
use crate::ops::protocol::*;

/// The clone of a value.
pub(in crate::ops) fn serialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  value: v8::Local<'s, v8::Value>,
  codec: &Codec<'s>,
) -> Result<Vec<u8>, OpError> {
  let mut cloner = Cloner {
    writer: Writer::new(),
    codec,
    seen: HashMap::new(),
    objects: 0,
    stack: StackLimit::new(),
  };
  cloner.value(scope, value)?;
  Ok(cloner.writer.finish())
}

struct Cloner<'a, 's> {
  writer: Writer,
  codec: &'a Codec<'s>,
  /// The number of every object met, by identity hash, which two objects may share.
  seen: HashMap<i32, Vec<(v8::Local<'s, v8::Object>, u32)>>,
  objects: u32,
  stack: StackLimit,
}

type Scope<'a, 's, 'i> = &'a mut v8::PinScope<'s, 'i>;

impl<'s> Cloner<'_, 's> {
  fn value(
    &mut self,
    scope: Scope<'_, 's, '_>,
    value: v8::Local<'s, v8::Value>,
  ) -> Result<(), OpError> {
    if value.is_undefined() {
      self.writer.tag(tag::UNDEFINED);
    } else if value.is_null() {
      self.writer.tag(tag::NULL);
    } else if value.is_boolean() {
      self.writer.tag(if value.is_true() {
        tag::TRUE
      } else {
        tag::FALSE
      });
    } else if let Ok(number) = v8::Local::<v8::Number>::try_from(value) {
      self.writer.number(number.value());
    } else if let Ok(string) = v8::Local::<v8::String>::try_from(value) {
      self.string(scope, string)?;
    } else if let Ok(bigint) = v8::Local::<v8::BigInt>::try_from(value) {
      self.writer.tag(tag::BIGINT);
      self.bigint(bigint);
    } else if let Ok(object) = v8::Local::<v8::Object>::try_from(value) {
      if self.stack.is_reached() {
        return Err(
          self
            .codec
            .throw_range_error(scope, "Maximum call stack size exceeded"),
        );
      }
      self.object(scope, object)?;
    } else {
      return Err(self.refuse(scope, value));
    }
    Ok(())
  }

  fn string(
    &mut self,
    scope: Scope<'_, 's, '_>,
    string: v8::Local<'s, v8::String>,
  ) -> Result<(), OpError> {
    self.writer.string(&self.codec.units(scope, string)?);
    Ok(())
  }

  fn bigint(&mut self, bigint: v8::Local<'s, v8::BigInt>) {
    let mut words = vec![0; bigint.word_count()];
    let (negative, words) = bigint.to_words_array(&mut words);
    self.writer.bigint(negative, words);
  }

  /// Throws what says that a value can't be cloned.
  fn refuse(&mut self, scope: Scope<'_, 's, '_>, value: v8::Local<'s, v8::Value>) -> OpError {
    let shown = match self.codec.call(scope, "describe", &[value]) {
      Ok(shown) => shown.to_rust_string_lossy(scope),
      Err(error) => return error,
    };
    self
      .codec
      .throw_type_error(scope, &format!("{shown} could not be cloned."))
  }

  /// Whether the object was met before; then it is written as a reference.
  fn reference(&mut self, object: v8::Local<'s, v8::Object>) -> bool {
    let same_hash = self
      .seen
      .entry(object.get_identity_hash().get())
      .or_default();
    if let Some((_, number)) = same_hash.iter().find(|(seen, _)| *seen == object) {
      self.writer.tag(tag::REFERENCE);
      self.writer.varint((*number).into());
      return true;
    }
    same_hash.push((object, self.objects));
    self.objects += 1;
    false
  }

  fn object(
    &mut self,
    scope: Scope<'_, 's, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<(), OpError> {
    let has_no_class =
      object.is_typed_array() || object.is_function() || object.is_array() || object.is_proxy();
    let class = match has_no_class {
      true => CLASS_OBJECT,
      false => self.codec.class_of(scope, object)?,
    };
    // A buffer comes before its view, and is numbered before it.
    if object.is_typed_array() || class == CLASS_DATA_VIEW {
      return self.view(scope, object, class);
    }
    if self.reference(object) {
      return Ok(());
    }
    if object.is_function() {
      return Err(self.refuse(scope, object.into()));
    }
    if object.is_array() && !object.is_proxy() {
      return self.array(scope, object.cast());
    }
    if let Some(describe) = self.codec.host_object(scope, object)? {
      return self.host_object(scope, object, describe);
    }
    if object.is_proxy() {
      return Err(self.refuse(scope, object.into()));
    }
    if object.is_native_error() {
      return self.error(scope, object);
    }
    match class {
      CLASS_DATE => return self.date(scope, object),
      CLASS_MAP => return self.map(scope, object),
      CLASS_SET => return self.set(scope, object),
      CLASS_REGEXP => return self.regexp(scope, object),
      CLASS_BOXED => return self.boxed(scope, object),
      CLASS_ARRAY_BUFFER => return self.buffer(scope, object),
      CLASS_OPAQUE => return Err(self.refuse(scope, object.into())),
      _ => {}
    }
    if self.codec.is_opaque(scope, object)? {
      return Err(self.refuse(scope, object.into()));
    }
    self.writer.tag(tag::OBJECT);
    let count = self.properties(scope, object, 0)?;
    self.writer.tag(tag::OBJECT_END);
    self.writer.varint(count.into());
    Ok(())
  }

  /// Own enumerable properties with string keys, integers first, without the indices below `from`.
  fn properties(
    &mut self,
    scope: Scope<'_, 's, '_>,
    object: v8::Local<'s, v8::Object>,
    from: u32,
  ) -> Result<u32, OpError> {
    let names = object
      .get_own_property_names(
        scope,
        v8::GetPropertyNamesArgsBuilder::new()
          .property_filter(v8::PropertyFilter::ONLY_ENUMERABLE | v8::PropertyFilter::SKIP_SYMBOLS)
          .key_conversion(v8::KeyConversionMode::KeepNumbers)
          .build(),
      )
      .ok_or(OpError::Pending)?;
    let mut count = 0;
    for i in 0..names.length() {
      let name = names.get_index(scope, i).ok_or(OpError::Pending)?;
      if name.is_uint32() && name.uint32_value(scope).is_some_and(|index| index < from) {
        continue;
      }
      // A getter that ran before may have removed it.
      let key = v8::Local::<v8::Name>::try_from(name);
      let exists = match key {
        Ok(key) => object.has_own_property(scope, key),
        Err(_) => object.has(scope, name),
      };
      if !exists.ok_or(OpError::Pending)? {
        continue;
      }
      self.value(scope, name)?;
      let value = object.get(scope, name).ok_or(OpError::Pending)?;
      self.value(scope, value)?;
      count += 1;
    }
    Ok(count)
  }

  fn array(
    &mut self,
    scope: Scope<'_, 's, '_>,
    array: v8::Local<'s, v8::Array>,
  ) -> Result<(), OpError> {
    let length = array.length();
    // Every index is there: the elements alone say which is which. (A long array with a hole is
    // found out at the hole.)
    let mut dense = true;
    for index in 0..length {
      let name = v8::Integer::new_from_unsigned(scope, index);
      if !array.has(scope, name.into()).ok_or(OpError::Pending)? {
        dense = false;
        break;
      }
    }
    if !dense {
      self.writer.tag(tag::SPARSE_ARRAY);
      self.writer.varint(length.into());
      let count = self.properties(scope, array.into(), 0)?;
      self.writer.tag(tag::SPARSE_ARRAY_END);
      self.writer.varint(count.into());
      self.writer.varint(length.into());
      return Ok(());
    }
    self.writer.tag(tag::DENSE_ARRAY);
    self.writer.varint(length.into());
    for index in 0..length {
      let element = array.get_index(scope, index).ok_or(OpError::Pending)?;
      self.value(scope, element)?;
    }
    let count = self.properties(scope, array.into(), length)?;
    self.writer.tag(tag::DENSE_ARRAY_END);
    self.writer.varint(count.into());
    self.writer.varint(length.into());
    Ok(())
  }

  fn date(
    &mut self,
    scope: Scope<'_, 's, '_>,
    date: v8::Local<'s, v8::Object>,
  ) -> Result<(), OpError> {
    let value = self.codec.call(scope, "dateValue", &[date.into()])?;
    self.writer.tag(tag::DATE);
    let value = value.number_value(scope).unwrap_or(f64::NAN);
    self.writer.double(value);
    Ok(())
  }

  /// The array that a function of the codec makes of an object.
  fn listed(
    &self,
    scope: Scope<'_, 's, '_>,
    lister: &str,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<v8::Local<'s, v8::Array>, OpError> {
    let list = self.codec.call(scope, lister, &[object.into()])?;
    v8::Local::<v8::Array>::try_from(list).map_err(|_| OpError::Serialize)
  }

  fn map(
    &mut self,
    scope: Scope<'_, 's, '_>,
    map: v8::Local<'s, v8::Object>,
  ) -> Result<(), OpError> {
    let entries = self.listed(scope, "mapEntries", map)?;
    self.writer.tag(tag::MAP);
    for index in 0..entries.length() {
      let entry = entries.get_index(scope, index).ok_or(OpError::Pending)?;
      let entry = v8::Local::<v8::Array>::try_from(entry).map_err(|_| OpError::Serialize)?;
      for part in 0..2 {
        let part = entry.get_index(scope, part).ok_or(OpError::Pending)?;
        self.value(scope, part)?;
      }
    }
    self.writer.tag(tag::MAP_END);
    self.writer.varint(u64::from(entries.length()) * 2);
    Ok(())
  }

  fn set(
    &mut self,
    scope: Scope<'_, 's, '_>,
    set: v8::Local<'s, v8::Object>,
  ) -> Result<(), OpError> {
    let values = self.listed(scope, "setValues", set)?;
    self.writer.tag(tag::SET);
    for index in 0..values.length() {
      let value = values.get_index(scope, index).ok_or(OpError::Pending)?;
      self.value(scope, value)?;
    }
    self.writer.tag(tag::SET_END);
    self.writer.varint(values.length().into());
    Ok(())
  }

  fn regexp(
    &mut self,
    scope: Scope<'_, 's, '_>,
    regexp: v8::Local<'s, v8::Object>,
  ) -> Result<(), OpError> {
    let source = self.codec.call(scope, "regExpSource", &[regexp.into()])?;
    let source = v8::Local::<v8::String>::try_from(source).map_err(|_| OpError::Serialize)?;
    let flags = self
      .codec
      .call(scope, "regExpFlags", &[regexp.into()])?
      .to_rust_string_lossy(scope);
    self.writer.tag(tag::REGEXP);
    self.string(scope, source)?;
    let bits = REGEXP_FLAGS
      .iter()
      .filter(|(letter, _)| flags.contains(*letter))
      .map(|(_, bit)| bit);
    self.writer.varint(bits.sum::<u32>().into());
    Ok(())
  }

  fn boxed(
    &mut self,
    scope: Scope<'_, 's, '_>,
    object: v8::Local<'s, v8::Object>,
  ) -> Result<(), OpError> {
    let value = self.codec.call(scope, "unbox", &[object.into()])?;
    if value.is_boolean() {
      self.writer.tag(if value.is_true() {
        tag::BOXED_TRUE
      } else {
        tag::BOXED_FALSE
      });
    } else if let Ok(number) = v8::Local::<v8::Number>::try_from(value) {
      self.writer.tag(tag::BOXED_NUMBER);
      self.writer.double(number.value());
    } else if let Ok(bigint) = v8::Local::<v8::BigInt>::try_from(value) {
      self.writer.tag(tag::BOXED_BIGINT);
      self.bigint(bigint);
    } else if let Ok(string) = v8::Local::<v8::String>::try_from(value) {
      self.writer.tag(tag::BOXED_STRING);
      self.string(scope, string)?;
    } else {
      return Err(self.refuse(scope, object.into()));
    }
    Ok(())
  }

  fn buffer(
    &mut self,
    scope: Scope<'_, 's, '_>,
    buffer: v8::Local<'s, v8::Object>,
  ) -> Result<(), OpError> {
    let bytes = self.codec.call(scope, "bytesOf", &[buffer.into()])?;
    let Some(view) = as_view(bytes) else {
      let message = "An ArrayBuffer is detached and could not be cloned.";
      return Err(self.codec.throw_type_error(scope, message));
    };
    let copy = view_bytes(view);
    match self.max_byte_length(scope, buffer)? {
      None => {
        self.writer.tag(tag::ARRAY_BUFFER);
        self.writer.varint(copy.len() as u64);
      }
      Some(most) => {
        self.writer.tag(tag::RESIZABLE_ARRAY_BUFFER);
        self.writer.varint(copy.len() as u64);
        self.writer.varint(most as u64);
      }
    }
    self.writer.raw(&copy);
    Ok(())
  }

  /// How large the buffer can become, if it can be resized.
  fn max_byte_length(
    &self,
    scope: Scope<'_, 's, '_>,
    buffer: v8::Local<'s, v8::Object>,
  ) -> Result<Option<f64>, OpError> {
    let most = self.codec.call(scope, "maxByteLength", &[buffer.into()])?;
    Ok(
      v8::Local::<v8::Number>::try_from(most)
        .ok()
        .map(|most| most.value()),
    )
  }

  fn view(
    &mut self,
    scope: Scope<'_, 's, '_>,
    object: v8::Local<'s, v8::Object>,
    class: i32,
  ) -> Result<(), OpError> {
    let hash = object.get_identity_hash().get();
    let parts = self.listed(scope, "viewParts", object)?;
    let buffer = parts.get_index(scope, 0).ok_or(OpError::Pending)?;
    let buffer = v8::Local::<v8::Object>::try_from(buffer).map_err(|_| OpError::Serialize)?;
    let number = |index| {
      let part = parts.get_index(scope, index)?.number_value(scope)?;
      // A length or an offset, which fits.
      Some(part as u64)
    };
    let (Some(offset), Some(length)) = (number(1), number(2)) else {
      return Err(OpError::Serialize);
    };
    let known = self
      .seen
      .get(&hash)
      .is_some_and(|same| same.iter().any(|(seen, _)| *seen == object));
    if !known {
      self.object(scope, buffer)?;
    }
    if self.reference(object) {
      return Ok(());
    }
    let kind = match view_kind(object, class) {
      Some(kind) => kind,
      None => return Err(self.refuse(scope, object.into())),
    };
    self.writer.tag(tag::VIEW);
    self.writer.varint(kind.into());
    self.writer.varint(offset);
    self.writer.varint(length);
    // Bit 0: it tracks the buffer's length, which nothing here can tell; bit 1: the buffer can be
    // resized.
    let resizable = self.max_byte_length(scope, buffer)?.is_some();
    self.writer.varint(u64::from(resizable) << 1);
    Ok(())
  }

  fn error(
    &mut self,
    scope: Scope<'_, 's, '_>,
    error: v8::Local<'s, v8::Object>,
  ) -> Result<(), OpError> {
    self.writer.tag(tag::ERROR);
    let name = self
      .codec
      .get(scope, error, "name")?
      .to_rust_string_lossy(scope);
    if let Some((_, part)) = super::ERROR_CLASSES
      .iter()
      .find(|(class, _)| *class == name)
    {
      self.writer.tag(*part);
    }
    if let Some(message) = self.codec.get_own(scope, error, "message")? {
      // An engine may drop what to_string() throws.
      let message = self.codec.call(scope, "toText", &[message])?;
      let message = v8::Local::<v8::String>::try_from(message).map_err(|_| OpError::Serialize)?;
      self.writer.tag(super::ERROR_MESSAGE);
      self.string(scope, message)?;
    }
    let stack = self.codec.get(scope, error, "stack")?;
    if let Ok(stack) = v8::Local::<v8::String>::try_from(stack) {
      self.writer.tag(super::ERROR_STACK);
      self.string(scope, stack)?;
    }
    // Last: it may hold the error itself, which a reader has made by then.
    if let Some(cause) = self.codec.get_own(scope, error, "cause")? {
      self.writer.tag(super::ERROR_CAUSE);
      self.value(scope, cause)?;
    }
    self.writer.tag(super::ERROR_END);
    Ok(())
  }

  fn host_object(
    &mut self,
    scope: Scope<'_, 's, '_>,
    object: v8::Local<'s, v8::Object>,
    describe: v8::Local<'s, v8::Value>,
  ) -> Result<(), OpError> {
    let description = self.codec.describe_host_object(scope, object, describe)?;
    self.writer.tag(tag::HOST_OBJECT);
    self.writer.varint(u32::MAX.into());
    self.value(scope, description)
  }
}

fn view_kind(object: v8::Local<v8::Object>, class: i32) -> Option<u8> {
  let kinds: [(bool, u8); 13] = [
    (object.is_uint8_array(), b'B'),
    (object.is_int8_array(), b'b'),
    (object.is_uint8_clamped_array(), b'C'),
    (object.is_int16_array(), b'w'),
    (object.is_uint16_array(), b'W'),
    (object.is_int32_array(), b'd'),
    (object.is_uint32_array(), b'D'),
    (object.is_float16_array(), b'h'),
    (object.is_float32_array(), b'f'),
    (object.is_float64_array(), b'F'),
    (object.is_big_int64_array(), b'q'),
    (object.is_big_uint64_array(), b'Q'),
    (class == CLASS_DATA_VIEW, b'?'),
  ];
  kinds.iter().find(|(is, _)| *is).map(|(_, kind)| *kind)
}
