use num_bigint::{BigInt, Sign};

use super::{VERSION, tag};

/// Writes a clone piece by piece. The caller knows which pieces make up a value.
#[derive(Debug)]
pub struct Writer {
  bytes: Vec<u8>,
}

impl Default for Writer {
  fn default() -> Self {
    Self::new()
  }
}

impl Writer {
  /// A writer that has written the header.
  pub fn new() -> Self {
    let mut writer = Self {
      bytes: Vec::with_capacity(64),
    };
    writer.tag(tag::VERSION);
    writer.varint(VERSION.into());
    writer
  }

  /// The clone.
  pub fn finish(self) -> Vec<u8> {
    self.bytes
  }

  /// Writes a tag.
  pub fn tag(&mut self, tag: u8) {
    self.bytes.push(tag);
  }

  /// Writes a LEB128 varint.
  pub fn varint(&mut self, mut number: u64) {
    while number >= 0x80 {
      self.bytes.push(number as u8 | 0x80);
      number >>= 7;
    }
    self.bytes.push(number as u8);
  }

  /// Writes a little-endian double, without a tag.
  pub fn double(&mut self, number: f64) {
    self.bytes.extend(number.to_le_bytes());
  }

  /// Writes bytes as they are.
  pub fn raw(&mut self, bytes: &[u8]) {
    self.bytes.extend(bytes);
  }

  /// A number with its tag: as an integer where it is one of 32 bits.
  pub fn number(&mut self, number: f64) {
    let integer = number as i32;
    // (-0 is no integer: its sign would be lost.)
    if f64::from(integer).to_bits() == number.to_bits() {
      self.tag(tag::INT32);
      self.varint(u64::from((integer << 1 ^ integer >> 31) as u32));
    } else {
      self.tag(tag::DOUBLE);
      self.double(number);
    }
  }

  /// A bigint without its tag: the digits are 64 bits each, the least significant first.
  pub fn bigint(&mut self, negative: bool, digits: &[u64]) {
    let digits = &digits[..digits
      .iter()
      .rposition(|digit| *digit != 0)
      .map_or(0, |last| last + 1)];
    self.varint((digits.len() as u64 * 8) << 1 | u64::from(negative));
    for digit in digits {
      self.raw(&digit.to_le_bytes());
    }
  }

  /// A bigint with its tag.
  pub fn big_integer(&mut self, number: &BigInt) {
    let (sign, digits) = number.to_u64_digits();
    self.tag(tag::BIGINT);
    self.bigint(sign == Sign::Minus, &digits);
  }

  /// A string with its tag, from its UTF-16 code units.
  pub fn string(&mut self, units: &[u16]) {
    if units.iter().all(|unit| *unit <= 0xff) {
      self.tag(tag::LATIN1_STRING);
      self.varint(units.len() as u64);
      self.bytes.extend(units.iter().map(|unit| *unit as u8));
      return;
    }
    let length = units.len() as u64 * 2;
    let varint_bytes = (1..).find(|bytes| length >> (7 * bytes) == 0).unwrap_or(10);
    if (self.bytes.len() + 1 + varint_bytes) % 2 == 1 {
      self.tag(tag::PADDING);
    }
    self.tag(tag::UTF16_STRING);
    self.varint(length);
    self
      .bytes
      .extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
  }
}
