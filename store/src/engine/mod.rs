//! The trait of storage engines, and what they share. [`sqlite`](crate::sqlite) is one.
//!
//! Plain Rust: nothing in here knows `deno_core` or a JavaScript engine. [`Backend`] is the whole
//! vocabulary, and nothing above it may assume that there is a file: a remote or a distributed
//! engine implements the same few calls.

mod answer;
mod clock;
mod durability;
mod entries;
mod error;
pub mod number;
mod queue;

mod traced;
mod watch;
mod write;

use std::num::NonZeroU32;
use std::sync::Arc;

pub use answer::{Answer, Leader, Pending, Reply, answer_channel};
pub use clock::{Clock, SystemClock};
pub use durability::Durability;
pub use entries::{Entries, EntryRef};
pub use error::StoreError;
pub use queue::{DEFAULT_BACKOFF_MS, Enqueue, Listener, Message, MessageId};
pub use traced::Traced;
pub use watch::{Signal, Watcher};
pub use write::{AtomicWrite, Check, CommitOutcome, Mutation, MutationKind};

use crate::value::Value;
use crate::versionstamp::Versionstamp;

/// One open database. Handles of the same database may share what is behind them.
pub trait Backend: Send + Sync {
  /// Reads all `ranges` from one snapshot: no commit is seen in one of them and not in another.
  /// Entries that have expired are not there.
  ///
  /// The answer is there at once when the read is small, so that the caller need not wait.
  fn snapshot_read(&self, ranges: Vec<ReadRange>) -> Answer<Vec<Entries>>;

  /// What one key holds, if it can be had at once: what `snapshot_read` finds, and less around it.
  /// `None`: ask `snapshot_read`.
  fn get_at_once(&self, key: &[u8]) -> Option<Result<Option<Held>, StoreError>> {
    let _ = key;
    None
  }

  /// Commits all mutations of `write` under one new versionstamp, or, if a check fails, none.
  /// The answer comes when the commit is durable, in the sense of the [`Durability`] that the store
  /// was opened with.
  ///
  /// After an error nothing of `write` is stored.
  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome>;

  /// Watches keys, encoded: whoever commits a change to one of them, in this process or another,
  /// and when one expires.
  fn watch(&self, keys: Vec<Vec<u8>>) -> Watcher;

  /// Listens to the queue: each message is given to one of all who listen, in all processes.
  fn listen(&self) -> Arc<dyn Listener>;
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
