use super::JsValue;
use crate::wire::{Writer, tag};

/// The structured clone of a value.
pub(super) fn clone_of(value: &JsValue) -> Vec<u8> {
  let mut writer = Writer::new();
  write(&mut writer, value);
  writer.finish()
}

fn write(writer: &mut Writer, value: &JsValue) {
  match value {
    JsValue::Undefined => writer.tag(tag::UNDEFINED),
    JsValue::Null => writer.tag(tag::NULL),
    JsValue::Bool(true) => writer.tag(tag::TRUE),
    JsValue::Bool(false) => writer.tag(tag::FALSE),
    JsValue::Number(number) => writer.number(*number),
    JsValue::BigInt(number) => writer.big_integer(number),
    JsValue::U64(number) => writer.big_integer(&(*number).into()),
    JsValue::String(string) => write_string(writer, string),
    JsValue::Date(time) => {
      writer.tag(tag::DATE);
      writer.double(*time);
    }
    JsValue::Array(elements) => {
      writer.tag(tag::DENSE_ARRAY);
      writer.varint(elements.len() as u64);
      for element in elements {
        write(writer, element);
      }
      writer.tag(tag::DENSE_ARRAY_END);
      // No properties but the elements.
      writer.varint(0);
      writer.varint(elements.len() as u64);
    }
    JsValue::Object(properties) => {
      writer.tag(tag::OBJECT);
      for (key, value) in properties {
        write_key(writer, key);
        write(writer, value);
      }
      writer.tag(tag::OBJECT_END);
      writer.varint(properties.len() as u64);
    }
    JsValue::Map(entries) => {
      writer.tag(tag::MAP);
      for (key, value) in entries {
        write(writer, key);
        write(writer, value);
      }
      writer.tag(tag::MAP_END);
      writer.varint(entries.len() as u64 * 2);
    }
    JsValue::Set(elements) => {
      writer.tag(tag::SET);
      for element in elements {
        write(writer, element);
      }
      writer.tag(tag::SET_END);
      writer.varint(elements.len() as u64);
    }
    JsValue::Bytes(bytes) => {
      writer.tag(tag::ARRAY_BUFFER);
      writer.varint(bytes.len() as u64);
      writer.raw(bytes);
      writer.tag(tag::VIEW);
      // A Uint8Array of all of it, with no flags.
      writer.varint(u64::from(b'B'));
      writer.varint(0);
      writer.varint(bytes.len() as u64);
      writer.varint(0);
    }
  }
}

/// A property's name. One that is an array's index is a number in a clone, as in JavaScript.
fn write_key(writer: &mut Writer, key: &str) {
  match key.parse::<u32>() {
    Ok(index) if index < u32::MAX && index.to_string() == key => writer.number(index.into()),
    _ => write_string(writer, key),
  }
}

fn write_string(writer: &mut Writer, string: &str) {
  let units: Vec<u16> = string.encode_utf16().collect();
  writer.string(&units);
}
