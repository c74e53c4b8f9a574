use deno_core::v8;
use kv_store::wire::{MalformedError, Reader, tag};

use super::StackLimit;
use crate::error::OpError;
use crate::ops::codec::Codec;
use crate::ops::key::bytes_to_v8;

/// The value a clone holds. Whatever the bytes are, the answer is a value or an error.
pub(in crate::ops) fn deserialize<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  bytes: &[u8],
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let mut builder = Builder {
    reader: Reader::new(bytes)?,
    codec,
    objects: Vec::new(),
    stack: StackLimit::new(),
  };
  builder.value(scope)
}

impl From<MalformedError> for OpError {
  fn from(_: MalformedError) -> Self {
    Self::Deserialize
  }
}

struct Builder<'a, 's> {
  reader: Reader<'a>,
  codec: &'a Codec<'s>,
  /// Objects in the order in which they begin. `None`: it is not finished, and can't be referred
  /// to before it is.
  objects: Vec<Option<v8::Local<'s, v8::Object>>>,
  stack: StackLimit,
}

type Scope<'a, 's, 'i> = &'a mut v8::PinScope<'s, 'i>;
type Built<'s> = Result<v8::Local<'s, v8::Value>, OpError>;

impl<'s> Builder<'_, 's> {
  fn value(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    if self.stack.is_reached() {
      return Err(OpError::Deserialize);
    }
    let mut tag = self.reader.tag()?;
    while tag == tag::OBJECT_COUNT {
      self.reader.varint32()?;
      tag = self.reader.tag()?;
    }
    let value = self.tagged(scope, tag)?;
    // A view follows its buffer, and takes its place.
    if self.reader.peek_tag() == Some(tag::VIEW) {
      // Undefined: it is no buffer.
      let length = self.codec.call(scope, "bufferLength", &[value])?;
      if let Ok(length) = v8::Local::<v8::Number>::try_from(length) {
        self.reader.tag()?;
        return self.view(scope, value, length.value() as usize);
      }
    }
    Ok(value)
  }

  /// Only hands on: what is called for nested values must not take much of the stack.
  fn tagged(&mut self, scope: Scope<'_, 's, '_>, tag: u8) -> Built<'s> {
    match tag {
      tag::OBJECT => self.plain_object(scope),
      tag::DENSE_ARRAY => self.dense_array(scope),
      tag::SPARSE_ARRAY => self.sparse_array(scope),
      tag::MAP => self.map(scope),
      tag::SET => self.set(scope),
      tag::ERROR => self.error(scope),
      tag::HOST_OBJECT => self.host_object(scope),
      tag => self.leaf(scope, tag),
    }
  }

  /// A value that holds no others.
  #[inline(never)]
  fn leaf(&mut self, scope: Scope<'_, 's, '_>, tag: u8) -> Built<'s> {
    Ok(match tag {
      tag::UNDEFINED | tag::HOLE => v8::undefined(scope).into(),
      tag::NULL => v8::null(scope).into(),
      tag::TRUE => v8::Boolean::new(scope, true).into(),
      tag::FALSE => v8::Boolean::new(scope, false).into(),
      tag::INT32 => v8::Integer::new(scope, self.reader.int32()?).into(),
      tag::UINT32 => v8::Integer::new_from_unsigned(scope, self.reader.varint32()?).into(),
      tag::DOUBLE => v8::Number::new(scope, self.reader.double()?).into(),
      tag::BIGINT => self.bigint(scope)?,
      tag::UTF8_STRING | tag::LATIN1_STRING | tag::UTF16_STRING => {
        let units = self.reader.string_of(tag)?;
        self.codec.make_string(scope, &units)?.into()
      }
      tag::REFERENCE => {
        let number = self.reader.varint32()? as usize;
        let object = self.objects.get(number).copied().flatten();
        object.ok_or(OpError::Deserialize)?.into()
      }
      tag::DATE => {
        let time = self.reader.double()?;
        let time = v8::Number::new(scope, time).into();
        let date = self.made(scope, "makeDate", &[time])?;
        self.keep(date)
      }
      tag::BOXED_TRUE | tag::BOXED_FALSE => {
        let primitive = v8::Boolean::new(scope, tag == tag::BOXED_TRUE).into();
        self.boxed(scope, primitive)?
      }
      tag::BOXED_NUMBER => {
        let primitive = v8::Number::new(scope, self.reader.double()?).into();
        self.boxed(scope, primitive)?
      }
      tag::BOXED_BIGINT => {
        let primitive = self.bigint(scope)?;
        self.boxed(scope, primitive)?
      }
      tag::BOXED_STRING => {
        let units = self.reader.string()?;
        let primitive = self.codec.make_string(scope, &units)?.into();
        self.boxed(scope, primitive)?
      }
      tag::REGEXP => self.regexp(scope)?,
      tag::ARRAY_BUFFER => self.buffer(scope)?,
      tag::RESIZABLE_ARRAY_BUFFER => self.resizable_buffer(scope)?,
      _ => return Err(OpError::Deserialize),
    })
  }

  fn plain_object(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let object = v8::Object::new(scope);
    self.objects.push(Some(object));
    let count = self.properties(scope, object, tag::OBJECT_END)?;
    self.expect(count)?;
    Ok(object.into())
  }

  /// Remembers an object that was made in one piece.
  fn keep(&mut self, object: v8::Local<'s, v8::Object>) -> v8::Local<'s, v8::Value> {
    self.objects.push(Some(object));
    object.into()
  }

  /// The number that closes an object must be that of its parts.
  fn expect(&mut self, count: u32) -> Result<(), OpError> {
    (self.reader.varint32()? == count)
      .then_some(())
      .ok_or(OpError::Deserialize)
  }

  fn bigint(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let (negative, digits) = self.reader.bigint()?;
    let bigint = v8::BigInt::new_from_words(scope, negative, &digits).ok_or(OpError::Pending)?;
    Ok(bigint.into())
  }

  /// Keys and values up to the tag `end`; returns how many.
  fn properties(
    &mut self,
    scope: Scope<'_, 's, '_>,
    object: v8::Local<'s, v8::Object>,
    end: u8,
  ) -> Result<u32, OpError> {
    let mut count = 0;
    while self.reader.peek_tag() != Some(end) {
      let key = self.value(scope)?;
      if !key.is_string() && !key.is_number() {
        return Err(OpError::Deserialize);
      }
      let value = self.value(scope)?;
      let key = key.to_string(scope).ok_or(OpError::Pending)?;
      // Defined, not set: a setter on a prototype must not see it.
      object
        .create_data_property(scope, key.into(), value)
        .ok_or(OpError::Pending)?;
      count += 1;
    }
    self.reader.tag()?;
    Ok(count)
  }

  fn dense_array(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let length = self.reader.varint32()?;
    // Each element takes a byte at least: a length that lies must not take memory.
    if length as usize > self.reader.remaining() {
      return Err(OpError::Deserialize);
    }
    let array = v8::Array::new(scope, length as i32);
    self.objects.push(Some(array.into()));
    for index in 0..length {
      let hole = self.reader.peek_tag() == Some(tag::HOLE);
      let element = self.value(scope)?;
      // Version 11 began to write holes; what looks like one before is undefined.
      if !hole {
        let name = v8::Integer::new_from_unsigned(scope, index).to_string(scope);
        let name = name.ok_or(OpError::Pending)?;
        array
          .create_data_property(scope, name.into(), element)
          .ok_or(OpError::Pending)?;
      }
    }
    let count = self.properties(scope, array.into(), tag::DENSE_ARRAY_END)?;
    self.expect(count)?;
    self.expect(length)?;
    Ok(array.into())
  }

  fn sparse_array(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let length = self.reader.varint32()?;
    let array = v8::Array::new(scope, 0);
    self.objects.push(Some(array.into()));
    let name = self.codec.name(scope, "length")?;
    let value = v8::Integer::new_from_unsigned(scope, length);
    array
      .set(scope, name.into(), value.into())
      .ok_or(OpError::Pending)?;
    let count = self.properties(scope, array.into(), tag::SPARSE_ARRAY_END)?;
    self.expect(count)?;
    self.expect(length)?;
    Ok(array.into())
  }

  /// What a maker of the codec has made.
  fn made(
    &self,
    scope: Scope<'_, 's, '_>,
    maker: &str,
    arguments: &[v8::Local<'s, v8::Value>],
  ) -> Result<v8::Local<'s, v8::Object>, OpError> {
    let made = self.codec.call(scope, maker, arguments)?;
    v8::Local::<v8::Object>::try_from(made).map_err(|_| OpError::Deserialize)
  }

  /// An object around a primitive.
  fn boxed(&mut self, scope: Scope<'_, 's, '_>, primitive: v8::Local<'s, v8::Value>) -> Built<'s> {
    let object = self.made(scope, "box", &[primitive])?;
    Ok(self.keep(object))
  }

  fn regexp(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let source = self.reader.string()?;
    let bits = self.reader.varint32()?;
    let known: u32 = kv_store::wire::REGEXP_FLAGS
      .iter()
      .map(|(_, bit)| bit)
      .sum();
    if bits & !known != 0 {
      return Err(OpError::Deserialize);
    }
    let flags: String = kv_store::wire::REGEXP_FLAGS
      .iter()
      .filter(|(_, bit)| bits & bit != 0)
      .map(|(letter, _)| *letter)
      .collect();
    let source = self.codec.make_string(scope, &source)?.into();
    let flags = v8::String::new(scope, &flags)
      .ok_or(OpError::Pending)?
      .into();
    let regexp = self.made(scope, "makeRegExp", &[source, flags])?;
    Ok(self.keep(regexp))
  }

  fn map(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let map = self.made(scope, "makeMap", &[])?;
    self.objects.push(Some(map));
    let mut length = 0;
    while self.reader.peek_tag() != Some(tag::MAP_END) {
      let key = self.value(scope)?;
      let value = self.value(scope)?;
      self
        .codec
        .call(scope, "mapSet", &[map.into(), key, value])?;
      length += 2;
    }
    self.reader.tag()?;
    self.expect(length)?;
    Ok(map.into())
  }

  fn set(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let set = self.made(scope, "makeSet", &[])?;
    self.objects.push(Some(set));
    let mut length = 0;
    while self.reader.peek_tag() != Some(tag::SET_END) {
      let value = self.value(scope)?;
      self.codec.call(scope, "setAdd", &[set.into(), value])?;
      length += 1;
    }
    self.reader.tag()?;
    self.expect(length)?;
    Ok(set.into())
  }

  fn buffer(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let length = self.reader.length()?;
    let bytes = self.reader.raw(length)?.to_vec();
    let array = bytes_to_v8(scope, bytes)?;
    let buffer = array.buffer(scope).ok_or(OpError::Pending)?;
    Ok(self.keep(buffer.into()))
  }

  fn resizable_buffer(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let length = self.reader.length()?;
    let most = self.reader.size()?;
    if length > most {
      return Err(OpError::Deserialize);
    }
    let bytes = bytes_to_v8(scope, self.reader.raw(length)?.to_vec())?;
    let most = v8::Number::new(scope, most as f64).into();
    let buffer = self.made(scope, "makeResizableBuffer", &[bytes.into(), most])?;
    Ok(self.keep(buffer))
  }

  fn view(
    &mut self,
    scope: Scope<'_, 's, '_>,
    buffer: v8::Local<'s, v8::Value>,
    buffer_length: usize,
  ) -> Built<'s> {
    let kind = u8::try_from(self.reader.varint32()?).map_err(|_| OpError::Deserialize)?;
    let offset = self.reader.size()?;
    let bytes = self.reader.size()?;
    // Before version 14 there were no flags.
    let flags = if self.reader.version() >= 14 {
      self.reader.varint32()?
    } else {
      0
    };
    let size = match kind {
      b'b' | b'B' | b'C' | b'?' => 1,
      b'w' | b'W' | b'h' => 2,
      b'd' | b'D' | b'f' => 4,
      b'F' | b'q' | b'Q' => 8,
      _ => return Err(OpError::Deserialize),
    };
    let end = offset.checked_add(bytes).ok_or(OpError::Deserialize)?;
    if end > buffer_length || offset % size != 0 || bytes % size != 0 {
      return Err(OpError::Deserialize);
    }
    let length_tracking = flags & 1 == 1;
    let kind = v8::String::new(scope, char::from(kind).encode_utf8(&mut [0; 4]))
      .ok_or(OpError::Pending)?
      .into();
    let offset = v8::Number::new(scope, offset as f64).into();
    // A view that tracks its buffer's length has none of its own.
    let length = match length_tracking {
      true => v8::undefined(scope).into(),
      false => v8::Number::new(scope, (bytes / size) as f64).into(),
    };
    let view = self.made(scope, "makeView", &[kind, buffer, offset, length])?;
    Ok(self.keep(view))
  }

  fn error(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    let number = self.objects.len();
    self.objects.push(None);
    let mut class = "Error";
    let mut error = None;
    loop {
      let part = self.reader.tag()?;
      if let Some((name, _)) = super::ERROR_CLASSES.iter().find(|(_, tag)| *tag == part) {
        class = name;
        continue;
      }
      let object = match error {
        Some(object) => object,
        None => {
          let name = v8::String::new(scope, class)
            .ok_or(OpError::Pending)?
            .into();
          let made = self.made(scope, "makeError", &[name])?;
          if cfg!(feature = "quickjs") {
            // The engine has given it the stack of this call.
            let name = self.codec.name(scope, "stack")?;
            let undefined = v8::undefined(scope).into();
            let attributes = v8::PropertyAttribute::DONT_ENUM;
            made
              .define_own_property(scope, name.into(), undefined, attributes)
              .ok_or(OpError::Pending)?;
          }
          self.objects[number] = Some(made);
          error = Some(made);
          made
        }
      };
      let (name, value) = match part {
        super::ERROR_MESSAGE => {
          let units = self.reader.string()?;
          ("message", self.codec.make_string(scope, &units)?.into())
        }
        super::ERROR_STACK => {
          let units = self.reader.string()?;
          ("stack", self.codec.make_string(scope, &units)?.into())
        }
        super::ERROR_CAUSE => ("cause", self.value(scope)?),
        super::ERROR_END => return Ok(object.into()),
        _ => return Err(OpError::Deserialize),
      };
      let name = self.codec.name(scope, name)?;
      let attributes = v8::PropertyAttribute::DONT_ENUM;
      object
        .define_own_property(scope, name.into(), value, attributes)
        .ok_or(OpError::Pending)?;
    }
  }

  fn host_object(&mut self, scope: Scope<'_, 's, '_>) -> Built<'s> {
    // It is numbered before its description.
    let number = self.objects.len();
    self.objects.push(None);
    if self.reader.varint32()? != u32::MAX {
      return Err(OpError::Deserialize);
    }
    let description = self.value(scope)?;
    let object = self.codec.make_host_object(scope, description)?;
    self.objects[number] = Some(object);
    Ok(object.into())
  }
}
