use std::num::NonZeroU32;

use crate::value::Value;
use crate::versionstamp::Versionstamp;

/// How new the state is that a read sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Consistency {
  /// Every commit that was answered before the read began.
  #[default]
  Strong,
  /// A state that some replica has: commits of the last moments may be missing. Engines with one copy of the data read
  /// it as [`Strong`](Self::Strong) does.
  Eventual,
}

/// How a read is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ReadOptions {
  /// How new the state is that is read.
  pub consistency: Consistency,
}

impl ReadOptions {
  /// The same with this consistency.
  #[must_use]
  pub fn consistency(mut self, consistency: Consistency) -> Self {
    self.consistency = consistency;
    self
  }
}

/// Keys `start..end`, encoded, of which the first `limit` are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRange {
  /// The first key.
  pub start: Vec<u8>,
  /// The key to stop before.
  pub end: Vec<u8>,
  /// How many entries to read at most.
  pub limit: NonZeroU32,
  /// From the end to the start.
  pub reverse: bool,
}

impl ReadRange {
  /// The range that holds `key` and nothing else.
  pub fn point(key: Vec<u8>) -> Self {
    // No key sorts between a key and the same bytes followed by a zero.
    let mut end = Vec::with_capacity(key.len() + 1);
    end.extend_from_slice(&key);
    end.push(0);
    Self {
      start: key,
      end,
      limit: NonZeroU32::MIN,
      reverse: false,
    }
  }

  /// The key, if no other key fits the range.
  pub fn as_point(&self) -> Option<&[u8]> {
    let is_point = self.end.split_last() == Some((&0, &self.start));
    is_point.then_some(&self.start)
  }
}

/// What a key that is set holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
  /// The value.
  pub value: Value,
  /// The commit that last wrote the key.
  pub versionstamp: Versionstamp,
}
