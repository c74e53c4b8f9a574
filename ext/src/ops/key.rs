use deno_core::v8;
use kv_store::key::{KeyEncoder, KeyParts, PartRef};

use super::codec::{bytes_of_view, is_faithful, string_units};
use crate::error::OpError;

/// Most keys are shorter.
const USUAL_KEY_BYTES: usize = 64;
const USUAL_KEY_PARTS: usize = 4;

/// Names the type of a value in an error message.
pub(super) fn type_name(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> String {
  if value.is_null() {
    return "null".into();
  }
  value.type_of(scope).to_rust_string_lossy(scope)
}

/// The array a key is, or a `TypeError`.
pub(super) fn key_array<'s>(
  scope: &mut v8::PinScope<'_, '_>,
  key: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Array>, OpError> {
  v8::Local::<v8::Array>::try_from(key).map_err(|_| OpError::KeyNotArray(type_name(scope, key)))
}

/// Encodes a key that JavaScript hands over.
pub(super) fn encode(
  scope: &mut v8::PinScope<'_, '_>,
  key: v8::Local<v8::Value>,
) -> Result<Vec<u8>, OpError> {
  let key = key_array(scope, key)?;
  let length = key.length();
  encode_parts(scope, key, length)
}

/// The parts of a key that a script has given, of which an array makes the same key again: that saves
/// making them anew. Not of every key: bytes are the script's to change.
pub(super) struct Parts<'s> {
  parts: [v8::Local<'s, v8::Value>; KEPT_PARTS],
  length: usize,
}

const KEPT_PARTS: usize = 8;

impl<'s> Parts<'s> {
  pub(super) fn to_array(&self, scope: &mut v8::PinScope<'s, '_>) -> v8::Local<'s, v8::Value> {
    v8::Array::new_with_elements(scope, &self.parts[..self.length]).into()
  }
}

/// Encodes a key, and keeps its parts, if they can be kept.
pub(super) fn encode_and_keep<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  key: v8::Local<'s, v8::Value>,
) -> Result<(Vec<u8>, Option<Parts<'s>>), OpError> {
  let key = key_array(scope, key)?;
  let length = key.length() as usize;
  let mut kept = Parts {
    parts: [v8::undefined(scope).into(); KEPT_PARTS],
    length,
  };
  let mut can_keep = length <= KEPT_PARTS;
  let encoded = encode_each(scope, key, key.length(), |index, part| {
    match kept.parts.get_mut(index) {
      Some(kept) if !part.is_object() => *kept = part,
      _ => can_keep = false,
    }
  })?;
  Ok((encoded, can_keep.then_some(kept)))
}

/// Encodes an array of keys.
pub(super) fn key_list(
  scope: &mut v8::PinScope<'_, '_>,
  keys: v8::Local<v8::Value>,
) -> Result<Vec<Vec<u8>>, OpError> {
  let Ok(keys) = v8::Local::<v8::Array>::try_from(keys) else {
    return Err(OpError::Argument {
      name: "keys",
      expected: "an array of keys",
      received: type_name(scope, keys),
    });
  };
  let mut encoded = Vec::with_capacity(keys.length() as usize);
  for index in 0..keys.length() {
    let key = keys.get_index(scope, index).ok_or(OpError::Pending)?;
    encoded.push(encode(scope, key)?);
  }
  Ok(encoded)
}

/// Encodes the first `length` parts.
pub(super) fn encode_parts(
  scope: &mut v8::PinScope<'_, '_>,
  key: v8::Local<v8::Array>,
  length: u32,
) -> Result<Vec<u8>, OpError> {
  encode_each(scope, key, length, |_, _| ())
}

/// The same, and shows each part, with its place, once it is encoded.
fn encode_each<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  key: v8::Local<v8::Array>,
  length: u32,
  mut show: impl FnMut(usize, v8::Local<'s, v8::Value>),
) -> Result<Vec<u8>, OpError> {
  let mut encoder = KeyEncoder::with_capacity(USUAL_KEY_BYTES);
  for index in 0..length {
    // An element can be a getter, and a getter can throw.
    let part = key.get_index(scope, index).ok_or(OpError::Pending)?;
    push_part(scope, &mut encoder, part)?;
    show(index as usize, part);
  }
  Ok(encoder.finish())
}

fn push_part(
  scope: &mut v8::PinScope<'_, '_>,
  encoder: &mut KeyEncoder,
  part: v8::Local<v8::Value>,
) -> Result<(), OpError> {
  if let Ok(string) = v8::Local::<v8::String>::try_from(part) {
    push_string(scope, encoder, string)?;
  } else if part.is_number() {
    let number = part.number_value(scope).ok_or(OpError::Pending)?;
    encoder.push_number(number);
  } else if let Ok(bigint) = v8::Local::<v8::BigInt>::try_from(part) {
    let mut words = vec![0; bigint.word_count()];
    let (negative, words) = bigint.to_words_array(&mut words);
    let magnitude: Vec<u8> = words
      .iter()
      .rev()
      .flat_map(|word| word.to_be_bytes())
      .collect();
    encoder.push_bigint(negative, &magnitude)?;
  } else if part.is_boolean() {
    encoder.push_bool(part.is_true());
  } else if let Some(bytes) = bytes_of_view(scope, part) {
    encoder.push_bytes(&bytes);
  } else {
    return Err(OpError::KeyPartType);
  }
  Ok(())
}

fn push_string(
  scope: &mut v8::PinScope<'_, '_>,
  encoder: &mut KeyEncoder,
  string: v8::Local<v8::String>,
) -> Result<(), OpError> {
  if string.is_onebyte() {
    // Latin-1 has no surrogates.
    encoder.push_string(&string.to_rust_string_lossy(scope));
    return Ok(());
  }
  let units = string_units(scope, string);
  if !is_faithful(scope, string, &units) {
    return Err(OpError::KeyPartNotWellFormed);
  }
  let string = String::from_utf16(&units).map_err(|_| OpError::KeyPartNotWellFormed)?;
  encoder.push_string(&string);
  Ok(())
}

/// Makes JavaScript arrays of encoded keys.
pub(super) struct KeyDecoder<'s> {
  /// Keys of a list share their first strings: the strings of the key before are kept.
  keeps_strings: bool,
  strings: Vec<Option<(String, v8::Local<'s, v8::Value>)>>,
  parts: Vec<v8::Local<'s, v8::Value>>,
}

impl<'s> KeyDecoder<'s> {
  /// For so many keys.
  pub(super) fn new(keys: usize) -> Self {
    Self {
      keeps_strings: keys > 1,
      strings: Vec::new(),
      parts: Vec::with_capacity(USUAL_KEY_PARTS),
    }
  }

  pub(super) fn decode(
    &mut self,
    scope: &mut v8::PinScope<'s, '_>,
    key: &[u8],
  ) -> Result<v8::Local<'s, v8::Array>, OpError> {
    self.parts.clear();
    for (index, part) in KeyParts::new(key).enumerate() {
      let part = match part? {
        PartRef::String(string) => self.string(scope, index, &string)?,
        PartRef::Number(number) => v8::Number::new(scope, number).into(),
        PartRef::Bool(bool) => v8::Boolean::new(scope, bool).into(),
        PartRef::Bytes(bytes) => bytes_to_v8(scope, bytes.into_owned())?.into(),
        PartRef::BigInt(negative, magnitude) => bigint_to_v8(scope, negative, &magnitude)?,
      };
      self.parts.push(part);
    }
    Ok(v8::Array::new_with_elements(scope, &self.parts))
  }

  fn string(
    &mut self,
    scope: &mut v8::PinScope<'s, '_>,
    index: usize,
    string: &str,
  ) -> Result<v8::Local<'s, v8::Value>, OpError> {
    if let Some(Some((same, made))) = self.strings.get(index)
      && same == string
    {
      return Ok(*made);
    }
    let made = if string.is_ascii() {
      v8::String::new_from_one_byte(scope, string.as_bytes(), v8::NewStringType::Normal)
    } else {
      v8::String::new(scope, string)
    };
    let made: v8::Local<v8::Value> = made.ok_or(OpError::Pending)?.into();
    if !self.keeps_strings {
      return Ok(made);
    }
    if self.strings.len() <= index {
      self.strings.resize(index + 1, None);
    }
    // In the same buffer, if there is one.
    let mut kept = self.strings[index]
      .take()
      .map_or_else(String::new, |(kept, _)| kept);
    kept.clear();
    kept.push_str(string);
    self.strings[index] = Some((kept, made));
    Ok(made)
  }
}

fn bigint_to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  negative: bool,
  magnitude: &[u8],
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let words: Vec<u64> = magnitude
    .rchunks(8)
    .map(|digits| {
      digits
        .iter()
        .fold(0, |word, digit| word << 8 | u64::from(*digit))
    })
    .collect();
  v8::BigInt::new_from_words(scope, negative, &words)
    .map(Into::into)
    .ok_or(OpError::Pending)
}

/// A `Uint8Array` that owns `bytes`.
pub(super) fn bytes_to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  bytes: Vec<u8>,
) -> Result<v8::Local<'s, v8::Uint8Array>, OpError> {
  let length = bytes.len();
  let store = v8::ArrayBuffer::new_backing_store_from_vec(bytes).make_shared();
  let buffer = v8::ArrayBuffer::with_backing_store(scope, &store);
  v8::Uint8Array::new(scope, buffer, 0, length).ok_or(OpError::Pending)
}
