use std::time::Duration;

use super::Enqueue;
use crate::value::Value;
use crate::versionstamp::Versionstamp;

/// An atomic operation: if all checks hold, all mutations happen in order, else none.
#[derive(Clone, Debug, Default)]
pub struct AtomicWrite {
  /// Makes it safe to ask for the write again when its answer was lost: within [`WRITE_ID_TTL`], a write with the id of
  /// one that was committed is not done, and is answered as that one was. Only engines whose
  /// [`Capabilities::write_ids`](super::Capabilities::write_ids) says so look at it.
  pub id: Option<WriteId>,
  /// What must be true of the database.
  pub checks: Vec<Check>,
  /// What to change.
  pub mutations: Vec<Mutation>,
  /// What to put into the queue.
  pub enqueues: Vec<Enqueue>,
}

impl AtomicWrite {
  /// Bytes of the keys, values and messages it holds: how the writer keeps a group commit bounded.
  pub fn size(&self) -> usize {
    let checks: usize = self.checks.iter().map(|check| check.key.len()).sum();
    let mutations = self.mutations.iter().map(|mutation| {
      let value = mutation.kind.value().map_or(0, Value::size);
      mutation.key.len() + value
    });
    let enqueues = self.enqueues.iter().map(|enqueue| enqueue.payload.len());
    checks + mutations.sum::<usize>() + enqueues.sum::<usize>()
  }
}

/// Names an atomic write, among all writes to its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriteId(pub [u8; 16]);

/// How long an engine remembers the id of a write that it has committed.
pub const WRITE_ID_TTL: Duration = Duration::from_secs(600);

/// A key must have been last written by this commit.
#[derive(Clone, Debug)]
pub struct Check {
  /// The key, encoded.
  pub key: Vec<u8>,
  /// The commit, or `None`: the key must not be set.
  pub versionstamp: Option<Versionstamp>,
}

/// A change to one key.
#[derive(Clone, Debug)]
pub struct Mutation {
  /// The key, encoded.
  pub key: Vec<u8>,
  /// The change.
  pub kind: MutationKind,
  /// When a value that is set here expires, in UTC milliseconds. `None`: never.
  pub expire_at: Option<u64>,
}

/// The changes there are.
#[derive(Clone, Debug)]
pub enum MutationKind {
  /// Store the value.
  Set(Value),
  /// Store the value under the key followed by one more part: the commit's versionstamp, as a
  /// string of 20 hexadecimal digits.
  SetWithVersionstamp(Value),
  /// Remove the key, if it is set.
  Delete,
  /// Add to the number stored, of the same kind: U64 (wraps at 2^64), bigint or number. A key
  /// that is not set gets the operand itself.
  Sum(Value),
  /// Keep the smaller of the U64 stored and this one.
  Min(Value),
  /// Keep the larger of the U64 stored and this one.
  Max(Value),
}

impl MutationKind {
  /// The value it carries.
  pub fn value(&self) -> Option<&Value> {
    match self {
      Self::Set(value)
      | Self::SetWithVersionstamp(value)
      | Self::Sum(value)
      | Self::Min(value)
      | Self::Max(value) => Some(value),
      Self::Delete => None,
    }
  }
}

/// How an atomic write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
  /// It is durable, under this versionstamp.
  Committed(Versionstamp),
  /// These checks, by their indices from 0 in ascending order, did not hold; nothing was changed. Empty where the engine
  /// does not know which.
  CheckFailed(Vec<u32>),
}
