//! Turns the selector and the cursor of a `list` into one range of encoded keys.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;

/// A list selector, its keys encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
  /// All keys that start with the parts of `prefix`, and are longer.
  Prefix {
    /// The parts all keys share.
    prefix: Vec<u8>,
    /// The first key, if not the first one under the prefix.
    start: Option<Vec<u8>>,
    /// The key to stop before, if not the end of the prefix.
    end: Option<Vec<u8>>,
  },
  /// All keys from `start` up to, and without, `end`.
  Range {
    /// The first key.
    start: Vec<u8>,
    /// The key to stop before.
    end: Vec<u8>,
  },
}

/// Why a selector and a cursor don't describe a range.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
  /// Not one of prefix, prefix and start, prefix and end, start and end.
  #[error("Selector must specify either 'prefix' or both 'start' and 'end' key")]
  Shape,
  /// `start` does not begin with `prefix`.
  #[error("Start key is not in the keyspace defined by prefix")]
  StartOutsidePrefix,
  /// `end` does not begin with `prefix`.
  #[error("End key is not in the keyspace defined by prefix")]
  EndOutsidePrefix,
  /// `start` sorts after `end`.
  #[error("Start key is greater than end key")]
  StartAfterEnd,
  /// The cursor is not URL-safe base64.
  #[error("invalid cursor")]
  InvalidCursor,
  /// The cursor points outside the selector's range.
  #[error("cursor out of bounds")]
  CursorOutOfBounds,
  /// A cursor was asked for a key that the selector does not select.
  #[error("Invalid boundary key")]
  InvalidBoundaryKey,
}

impl Selector {
  /// The selector of these encoded keys.
  ///
  /// # Errors
  /// The keys present don't make one of the four shapes, or contradict each other.
  pub fn new(
    prefix: Option<Vec<u8>>,
    start: Option<Vec<u8>>,
    end: Option<Vec<u8>>,
  ) -> Result<Self, SelectorError> {
    match (prefix, start, end) {
      (None, Some(start), Some(end)) if start > end => Err(SelectorError::StartAfterEnd),
      (None, Some(start), Some(end)) => Ok(Self::Range { start, end }),
      (Some(prefix), start, end) if start.is_none() || end.is_none() => {
        let outside = |key: &[u8]| !key.starts_with(&prefix) || key.len() == prefix.len();
        if start.as_deref().is_some_and(outside) {
          return Err(SelectorError::StartOutsidePrefix);
        }
        if end.as_deref().is_some_and(outside) {
          return Err(SelectorError::EndOutsidePrefix);
        }
        Ok(Self::Prefix { prefix, start, end })
      }
      _ => Err(SelectorError::Shape),
    }
  }

  /// The range `[start, end)` that is left to read after `cursor`, in the given direction.
  ///
  /// # Errors
  /// The cursor is malformed or points outside the selector.
  pub fn range(
    &self,
    cursor: Option<&str>,
    reverse: bool,
  ) -> Result<(Vec<u8>, Vec<u8>), SelectorError> {
    let (mut start, mut end) = self.whole();
    let Some(cursor) = cursor else {
      return Ok((start, end));
    };
    let cursor = BASE64_URL_SAFE
      .decode(cursor)
      .map_err(|_| SelectorError::InvalidCursor)?;
    let last_read = [self.common_prefix(), &cursor].concat();
    // A cursor names the last key read. Anybody can make up a cursor, so continuing after one must not leave the
    // selected range.
    if reverse {
      if last_read > end {
        return Err(SelectorError::CursorOutOfBounds);
      }
      end = last_read;
    } else {
      let mut next = last_read;
      next.push(0);
      if next < start {
        return Err(SelectorError::CursorOutOfBounds);
      }
      start = next;
    }
    Ok((start, end))
  }

  /// The cursor to continue after `key`: the part of it that the selector does not fix, in
  /// URL-safe base64. Deno's cursors are the same.
  ///
  /// # Errors
  /// `key` does not begin with the common prefix of the selector's keys.
  pub fn cursor(&self, key: &[u8]) -> Result<String, SelectorError> {
    key
      .strip_prefix(self.common_prefix())
      .map(|rest| BASE64_URL_SAFE.encode(rest))
      .ok_or(SelectorError::InvalidBoundaryKey)
  }

  fn whole(&self) -> (Vec<u8>, Vec<u8>) {
    match self {
      Self::Range { start, end } => (start.clone(), end.clone()),
      Self::Prefix { prefix, start, end } => {
        let followed_by = |byte| [prefix.as_slice(), &[byte]].concat();
        (
          start.clone().unwrap_or_else(|| followed_by(0x00)),
          end.clone().unwrap_or_else(|| followed_by(0xff)),
        )
      }
    }
  }

  fn common_prefix(&self) -> &[u8] {
    match self {
      Self::Prefix { prefix, .. } => prefix,
      Self::Range { start, end } => {
        let shared = start.iter().zip(end).take_while(|(a, b)| a == b).count();
        &start[..shared]
      }
    }
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  fn range(start: &[u8], end: &[u8]) -> Selector {
    Selector::new(None, Some(start.to_vec()), Some(end.to_vec())).unwrap()
  }

  #[test]
  fn a_cursor_continues_after_its_key_in_both_directions() {
    let selector = range(b"\x02a\0", b"\x02c\0");
    let cursor = selector.cursor(b"\x02b\0").unwrap();
    assert_eq!(
      selector.range(Some(&cursor), false).unwrap(),
      (b"\x02b\0\0".to_vec(), b"\x02c\0".to_vec())
    );
    assert_eq!(
      selector.range(Some(&cursor), true).unwrap(),
      (b"\x02a\0".to_vec(), b"\x02b\0".to_vec())
    );
  }

  #[test]
  fn a_made_up_cursor_never_widens_the_range() {
    let selector = range(b"\x02ab\0", b"\x02ac\0");
    for made_up in [b"".as_slice(), b"a", b"\0", b"\xff"] {
      let cursor = BASE64_URL_SAFE.encode(made_up);
      for reverse in [false, true] {
        if let Ok((start, end)) = selector.range(Some(&cursor), reverse) {
          assert!(
            start.as_slice() >= b"\x02ab\0".as_slice(),
            "{made_up:?} {reverse}"
          );
          assert!(
            end.as_slice() <= b"\x02ac\0".as_slice(),
            "{made_up:?} {reverse}"
          );
        }
      }
    }
  }

  #[test]
  fn contradicting_keys_are_refused() {
    let key = |part: u8| Some(vec![0x02, part, 0]);
    assert!(matches!(
      Selector::new(None, key(b'a'), None),
      Err(SelectorError::Shape)
    ));
    assert!(matches!(
      Selector::new(key(b'a'), key(b'a'), key(b'a')),
      Err(SelectorError::Shape)
    ));
    assert!(matches!(
      Selector::new(key(b'a'), key(b'b'), None),
      Err(SelectorError::StartOutsidePrefix)
    ));
    assert!(matches!(
      Selector::new(key(b'a'), None, key(b'a')),
      Err(SelectorError::EndOutsidePrefix)
    ));
    assert!(matches!(
      Selector::new(None, key(b'b'), key(b'a')),
      Err(SelectorError::StartAfterEnd)
    ));
  }
}
