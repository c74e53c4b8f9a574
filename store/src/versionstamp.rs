use std::fmt;
use std::str::FromStr;

use crate::key::KeyEncoder;

/// When a commit happened, in the order of all commits of a database: 10 bytes, the commit
/// counter as a big-endian `u64`, then two zero bytes. All keys of one commit share it.
///
/// JavaScript sees it as 20 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Versionstamp(pub [u8; 10]);

impl Versionstamp {
  /// The versionstamp of the `version`th commit.
  pub fn from_version(version: u64) -> Self {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&version.to_be_bytes());
    Self(bytes)
  }

  /// An encoded key followed by one more part: this versionstamp, as a string. It is the key that
  /// [`SetWithVersionstamp`](crate::engine::MutationKind::SetWithVersionstamp) writes.
  pub fn appended_to(self, key: &[u8]) -> Vec<u8> {
    let mut part = KeyEncoder::with_capacity(22);
    part.push_string(&self.to_string());
    [key, &part.finish()].concat()
  }

  /// The 20 hexadecimal digits, with no allocation.
  pub fn to_hex(self) -> [u8; 20] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 20];
    for (byte, pair) in self.0.iter().zip(hex.chunks_exact_mut(2)) {
      pair[0] = DIGITS[usize::from(byte >> 4)];
      pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
    hex
  }
}

impl fmt::Display for Versionstamp {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let hex = self.to_hex();
    // Digits are ASCII.
    f.write_str(std::str::from_utf8(&hex).map_err(|_| fmt::Error)?)
  }
}

/// A string that is not 20 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("invalid versionstamp")]
pub struct InvalidVersionstampError;

impl FromStr for Versionstamp {
  type Err = InvalidVersionstampError;

  fn from_str(hex: &str) -> Result<Self, Self::Err> {
    let digit = |byte: u8| {
      char::from(byte)
        .to_digit(16)
        .ok_or(InvalidVersionstampError)
    };
    if hex.len() != 20 {
      return Err(InvalidVersionstampError);
    }
    let mut bytes = [0; 10];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
      // Two digits of base 16 fit a byte.
      *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Ok(Self(bytes))
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn hex_is_the_counter_then_two_zero_bytes() {
    let versionstamp = Versionstamp::from_version(0x1234_5678_9abc_def0);
    assert_eq!(versionstamp.to_string(), "123456789abcdef00000");
    assert_eq!(
      "123456789ABCDEF00000".parse::<Versionstamp>().unwrap(),
      versionstamp
    );
  }

  #[test]
  fn only_twenty_hex_digits_are_a_versionstamp() {
    for bad in [
      "",
      "00",
      "zz3456789abcdef00000",
      "123456789abcdef0000000",
      "1234567éabcdef00000",
    ] {
      assert!(bad.parse::<Versionstamp>().is_err(), "{bad}");
    }
  }
}
