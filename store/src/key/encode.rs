use super::*;

/// A bigint part whose magnitude needs more than 255 bytes: its length has no encoding.
#[derive(Debug, thiserror::Error)]
#[error("BigUint requires more than 255 bytes to be represented")]
pub struct BigIntTooLargeError;

/// Encodes a key part by part, so that the op layer never builds a [`Key`] on its way from
/// JavaScript values to bytes.
#[derive(Debug, Default)]
pub struct KeyEncoder {
  bytes: Vec<u8>,
}

impl KeyEncoder {
  /// An encoder with room for `capacity` bytes.
  pub fn with_capacity(capacity: usize) -> Self {
    Self {
      bytes: Vec::with_capacity(capacity),
    }
  }

  /// Appends a `Uint8Array` part.
  pub fn push_bytes(&mut self, bytes: &[u8]) {
    self.push_escaped(TAG_BYTES, bytes);
  }

  /// Appends a string part.
  pub fn push_string(&mut self, string: &str) {
    self.push_escaped(TAG_STRING, string.as_bytes());
  }

  /// Appends a bigint part: its sign and its magnitude, big-endian; leading zeros are ignored.
  ///
  /// # Errors
  /// The magnitude needs more than 255 bytes.
  pub fn push_bigint(
    &mut self,
    negative: bool,
    magnitude: &[u8],
  ) -> Result<(), BigIntTooLargeError> {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let magnitude = &magnitude[zeros..];
    let length = u8::try_from(magnitude.len()).map_err(|_| BigIntTooLargeError)?;
    // Negative numbers are stored inverted, so that a larger magnitude sorts first.
    let flip = if negative { 0xff } else { 0x00 };
    match (magnitude.len() <= SHORT_BIGINT, negative) {
      (true, false) => self.bytes.push(TAG_BIGINT_ZERO + length),
      (true, true) => self.bytes.push(TAG_BIGINT_ZERO - length),
      (false, false) => self.bytes.extend([TAG_BIGINT_POSITIVE_LONG, length]),
      (false, true) => self.bytes.extend([TAG_BIGINT_NEGATIVE_LONG, !length]),
    }
    self.bytes.extend(magnitude.iter().map(|byte| byte ^ flip));
    Ok(())
  }

  /// Appends a number part. NaN payloads are dropped, so that equal numbers are equal keys.
  pub fn push_number(&mut self, number: f64) {
    const SIGN: u64 = 1 << 63;
    let bits = if number.is_nan() {
      f64::NAN.to_bits() & !SIGN | number.to_bits() & SIGN
    } else {
      number.to_bits()
    };
    let ordered = if bits & SIGN == 0 { bits ^ SIGN } else { !bits };
    self.bytes.push(TAG_NUMBER);
    self.bytes.extend(ordered.to_be_bytes());
  }

  /// Appends a boolean part.
  pub fn push_bool(&mut self, bool: bool) {
    self.bytes.push(if bool { TAG_TRUE } else { TAG_FALSE });
  }

  /// The bytes of the parts pushed.
  pub fn finish(self) -> Vec<u8> {
    self.bytes
  }

  fn push_escaped(&mut self, tag: u8, bytes: &[u8]) {
    self.bytes.reserve(bytes.len() + 2);
    self.bytes.push(tag);
    let mut pieces = bytes.split(|byte| *byte == 0);
    // `split` gives at least one piece, also for no bytes.
    self.bytes.extend(pieces.next().unwrap_or_default());
    for piece in pieces {
      self.bytes.extend([0, ESCAPE]);
      self.bytes.extend(piece);
    }
    self.bytes.push(0);
  }
}
