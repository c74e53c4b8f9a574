use super::{JsValue, JsValueError};
use crate::wire::{MalformedError, Reader, tag};

/// The deepest nesting that fits on any thread's stack.
const DEEPEST: usize = 200;

/// Decodes the value in a clone. Arbitrary bytes yield a value or an error, never a panic.
pub(super) fn value_of(bytes: &[u8]) -> Result<JsValue, JsValueError> {
  let mut decoder = Decoder {
    reader: Reader::new(bytes)?,
    objects: Vec::new(),
    depth: 0,
    start: 0,
    budget: bytes.len().saturating_mul(COPIES),
    holes: MOST_HOLES,
  };
  decoder.value()
}

/// The decoder reads an object again for each reference to it. Nested references could turn a small clone into a huge
/// value, so these reads are limited to this many times the clone's size.
const COPIES: usize = 16;

impl From<MalformedError> for JsValueError {
  fn from(_: MalformedError) -> Self {
    Self::Malformed
  }
}

type Result<T, E = JsValueError> = std::result::Result<T, E>;

struct Decoder<'a> {
  reader: Reader<'a>,
  /// Objects in the order in which they begin.
  objects: Vec<Object>,
  depth: usize,
  /// Where the value that is being read begins.
  start: usize,
  /// Bytes that may still be read.
  budget: usize,
  /// Elements that sparse arrays may still have: a few bytes claim as many as they like.
  holes: usize,
}

struct Object {
  start: usize,
  finished: bool,
}

impl Decoder<'_> {
  fn value(&mut self) -> Result<JsValue> {
    if self.depth == DEEPEST {
      return Err(JsValueError::TooDeep);
    }
    self.depth += 1;
    self.start = self.reader.position();
    let mut tag = self.reader.tag()?;
    while tag == tag::OBJECT_COUNT {
      self.reader.varint32()?;
      tag = self.reader.tag()?;
    }
    let value = self.tagged(tag)?;
    self.depth -= 1;
    Ok(value)
  }

  /// Only dispatches: functions that recurse into nested values must use little stack.
  fn tagged(&mut self, tag: u8) -> Result<JsValue> {
    match tag {
      tag::OBJECT => self.object(Self::plain_object),
      tag::DENSE_ARRAY => self.object(Self::dense_array),
      tag::SPARSE_ARRAY => self.object(Self::sparse_array),
      tag::MAP => self.object(Self::map),
      tag::SET => self.object(Self::set),
      tag::REFERENCE => self.reference(),
      tag => self.leaf(tag),
    }
  }

  /// A value that holds no others.
  #[inline(never)]
  fn leaf(&mut self, tag: u8) -> Result<JsValue> {
    Ok(match tag {
      tag::UNDEFINED | tag::HOLE => JsValue::Undefined,
      tag::NULL => JsValue::Null,
      tag::TRUE => JsValue::Bool(true),
      tag::FALSE => JsValue::Bool(false),
      tag::INT32 => JsValue::Number(self.reader.int32()?.into()),
      tag::UINT32 => JsValue::Number(self.reader.varint32()?.into()),
      tag::DOUBLE => JsValue::Number(self.reader.double()?),
      tag::BIGINT => self.bigint()?,
      tag::UTF8_STRING | tag::LATIN1_STRING | tag::UTF16_STRING => {
        JsValue::String(self.string_of(tag)?)
      }
      tag::DATE => self.object(|decoder| Ok(JsValue::Date(decoder.reader.double()?)))?,
      // An object around a primitive is as good as the primitive.
      tag::BOXED_TRUE | tag::BOXED_FALSE => {
        self.object(|_| Ok(JsValue::Bool(tag == tag::BOXED_TRUE)))?
      }
      tag::BOXED_NUMBER => self.object(|decoder| Ok(JsValue::Number(decoder.reader.double()?)))?,
      tag::BOXED_BIGINT => self.object(Self::bigint)?,
      tag::BOXED_STRING => self.object(|decoder| {
        let tag = decoder.reader.tag()?;
        Ok(JsValue::String(decoder.string_of(tag)?))
      })?,
      tag::ARRAY_BUFFER | tag::RESIZABLE_ARRAY_BUFFER => self.buffer(tag)?,
      tag::REGEXP => return Err(JsValueError::NoRustForm("a RegExp")),
      tag::ERROR => return Err(JsValueError::NoRustForm("an Error")),
      tag::HOST_OBJECT => return Err(JsValueError::NoRustForm("a host object")),
      _ => return Err(JsValueError::Malformed),
    })
  }

  fn plain_object(&mut self) -> Result<JsValue> {
    let properties = self.properties(tag::OBJECT_END)?;
    self.expect(properties.len())?;
    Ok(JsValue::Object(properties))
  }

  fn map(&mut self) -> Result<JsValue> {
    let items = self.values(tag::MAP_END)?;
    let mut entries = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let Some(key) = items.next() {
      entries.push((key, items.next().ok_or(JsValueError::Malformed)?));
    }
    Ok(JsValue::Map(entries))
  }

  fn set(&mut self) -> Result<JsValue> {
    Ok(JsValue::Set(self.values(tag::SET_END)?))
  }

  /// Reads an object, and remembers where it was.
  fn object(&mut self, read: impl FnOnce(&mut Self) -> Result<JsValue>) -> Result<JsValue> {
    let number = self.begin();
    let object = read(self)?;
    self.objects[number].finished = true;
    Ok(object)
  }

  /// Registers an object that begins here; returns its number.
  fn begin(&mut self) -> usize {
    self.objects.push(Object {
      start: self.start,
      finished: false,
    });
    self.objects.len() - 1
  }

  fn reference(&mut self) -> Result<JsValue> {
    let number = self.reader.varint32()? as usize;
    let object = self.objects.get(number).ok_or(JsValueError::Malformed)?;
    if !object.finished {
      return Err(JsValueError::NoRustForm("an object that holds itself"));
    }
    let (start, back, known) = (object.start, self.reader.position(), self.objects.len());
    self.reader.seek(start);
    let copy = self.value()?;
    let read = self.reader.position() - start;
    self.budget = self
      .budget
      .checked_sub(read)
      .ok_or(JsValueError::NoRustForm("too many copies of one object"))?;
    self.reader.seek(back);
    // The objects inside have their numbers already.
    self.objects.truncate(known);
    Ok(copy)
  }

  /// Checks that the count at the end of an object is the number of its parts.
  fn expect(&mut self, count: usize) -> Result<()> {
    (self.reader.varint32()? as usize == count)
      .then_some(())
      .ok_or(JsValueError::Malformed)
  }

  fn bigint(&mut self) -> Result<JsValue> {
    Ok(JsValue::BigInt(self.reader.big_integer()?))
  }

  fn string_of(&mut self, tag: u8) -> Result<String> {
    let units = self.reader.string_of(tag)?;
    String::from_utf16(&units)
      .map_err(|_| JsValueError::NoRustForm("a string with a lone surrogate"))
  }

  /// Keys and values up to the tag `end`.
  fn properties(&mut self, end: u8) -> Result<Vec<(String, JsValue)>> {
    let mut properties = Vec::new();
    while self.reader.peek_tag() != Some(end) {
      let key = match self.value()? {
        JsValue::String(key) => key,
        JsValue::Number(number) => number.to_string(),
        _ => return Err(JsValueError::Malformed),
      };
      properties.push((key, self.value()?));
    }
    self.reader.tag()?;
    Ok(properties)
  }

  /// Values up to the tag `end`, and their number.
  fn values(&mut self, end: u8) -> Result<Vec<JsValue>> {
    let mut values = Vec::new();
    while self.reader.peek_tag() != Some(end) {
      values.push(self.value()?);
    }
    self.reader.tag()?;
    self.expect(values.len())?;
    Ok(values)
  }

  fn dense_array(&mut self) -> Result<JsValue> {
    let length = self.reader.length()?;
    let elements = (0..length)
      .map(|_| self.value())
      .collect::<Result<Vec<_>>>()?;
    // Properties other than the elements are dropped.
    let properties = self.properties(tag::DENSE_ARRAY_END)?;
    self.expect(properties.len())?;
    self.expect(length)?;
    Ok(JsValue::Array(elements))
  }

  fn sparse_array(&mut self) -> Result<JsValue> {
    let length = self.reader.varint32()? as usize;
    let properties = self.properties(tag::SPARSE_ARRAY_END)?;
    self.expect(properties.len())?;
    self.expect(length)?;
    // A false length must not allocate memory.
    let many_holes = || JsValueError::NoRustForm("an array of many holes");
    self.holes = self.holes.checked_sub(length).ok_or_else(many_holes)?;
    let mut elements = vec![JsValue::Undefined; length];
    for (key, value) in properties {
      // Properties other than the elements are dropped.
      let Ok(index) = key.parse::<usize>() else {
        continue;
      };
      *elements.get_mut(index).ok_or_else(many_holes)? = value;
    }
    Ok(JsValue::Array(elements))
  }

  fn buffer(&mut self, tag: u8) -> Result<JsValue> {
    let number = self.begin();
    let length = self.reader.length()?;
    if tag == tag::RESIZABLE_ARRAY_BUFFER {
      self.reader.size()?;
    }
    let bytes = self.reader.raw(length)?.to_vec();
    self.objects[number].finished = true;
    // A view follows its buffer, and takes its place.
    if self.reader.peek_tag() != Some(tag::VIEW) {
      return Ok(JsValue::Bytes(bytes));
    }
    self.reader.tag()?;
    self.object(|decoder| {
      decoder.reader.varint32()?;
      let offset = decoder.reader.size()?;
      let length = decoder.reader.size()?;
      if decoder.reader.version() >= 14 {
        decoder.reader.varint32()?;
      }
      let view = bytes
        .get(offset..)
        .and_then(|rest| rest.get(..length))
        .ok_or(JsValueError::Malformed)?;
      Ok(JsValue::Bytes(view.to_vec()))
    })
  }
}

/// The most elements that all sparse arrays of a value may have, counting those read again for references.
const MOST_HOLES: usize = 100_000;
