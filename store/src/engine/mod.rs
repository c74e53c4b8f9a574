//! The trait of storage engines, and what they share. [`sqlite`](crate::sqlite) is one.
//!
//! [`Backend`] is the whole vocabulary. Nothing above it may assume that there is a file: a remote or a distributed
//! engine implements the same few calls. Nothing below it knows JavaScript. The crate `kv_conformance` tests what every
//! engine must do.

mod answer;
mod capabilities;
mod clock;
mod durability;
mod entries;
mod error;
pub mod number;
mod queue;
mod read;
mod stats;
mod traced;
mod usage;
mod watch;
mod write;

use std::sync::Arc;

pub use answer::Answer;
pub(crate) use answer::{Leader, Reply};
pub use capabilities::Capabilities;
pub use clock::{Clock, SystemClock};
pub use durability::Durability;
pub use entries::{Entries, EntryRef};
pub use error::{ErrorKind, StoreError};
pub use queue::{DEFAULT_BACKOFF_MS, Enqueue, Listener, Message, MessageId, NoQueue};
pub use read::{Consistency, Held, ReadOptions, ReadRange};
pub use stats::Stats;
pub(crate) use traced::Traced;
pub use usage::Usage;
pub(crate) use watch::WeakNotifier;
pub use watch::{Change, Notifier, Watcher};
pub use write::{AtomicWrite, Check, CommitOutcome, Mutation, MutationKind, WRITE_ID_TTL, WriteId};

/// One handle on an open database. Handles of the same database may share what is behind them.
///
/// Calls on a handle happen in the order in which they are made, whether or not their answers were waited for: a read
/// sees the writes that were asked for before it. An engine behind a network may keep this order only among calls that
/// touch the same keys, so that others are on their way at the same time.
pub trait Backend: Send + Sync {
  /// Reads all `ranges` from one snapshot: no commit is seen in one of them and not in another.
  /// Entries that have expired are not there.
  ///
  /// The answer is there at once when the read is small, so that the caller need not wait.
  fn snapshot_read(&self, ranges: Vec<ReadRange>, options: ReadOptions) -> Answer<Vec<Entries>>;

  /// What one key holds, if it can be had at once: what `snapshot_read` finds, and less around it.
  /// `None`: ask `snapshot_read`.
  fn get_at_once(
    &self,
    key: &[u8],
    options: ReadOptions,
  ) -> Option<Result<Option<Held>, StoreError>> {
    let _ = (key, options);
    None
  }

  /// Commits all mutations of `write` under one new versionstamp, or, if a check fails, none.
  /// The answer comes when the commit is durable, in the sense of the [`Durability`] that the store
  /// was opened with.
  ///
  /// After an error nothing of `write` is stored, but for one of kind
  /// [`UnknownOutcome`](ErrorKind::UnknownOutcome).
  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome>;

  /// Watches keys, encoded: a commit that changes one of them, in this process or another, is a change, and so is the
  /// expiry of one.
  ///
  /// # Errors
  /// The engine can't watch. What happens later, [`Watcher::changed`] tells.
  fn watch(&self, keys: Vec<Vec<u8>>) -> Result<Watcher, StoreError>;

  /// Listens to the queue: each message is given to one of all listeners, in all processes.
  ///
  /// # Errors
  /// The engine has no queue. What happens later, [`Listener::receive`] tells.
  fn listen(&self) -> Result<Arc<dyn Listener>, StoreError>;

  /// Closes the handle: later calls fail with [`ErrorKind::Closed`]. The answer comes when what was asked of it is
  /// done, and, if this was the last handle, the database is closed. Dropping a handle closes it too.
  fn close(&self) -> Answer<()>;

  /// A handle on the same database for reads and watches only: a server reads by it for all its clients, whose reads
  /// keep no order with the writes of others. `None`: the engine has none, and this one serves as well.
  fn reader(&self) -> Option<Arc<dyn Backend>> {
    None
  }

  /// What the engine takes, and what it can't do.
  fn capabilities(&self) -> Capabilities {
    Capabilities::default()
  }

  /// The database's own id, the same for all who open it: a random one that is kept in it. One that has none gets it if
  /// `make` says so, and else has one of the place where it is. `None`: there is none.
  fn database_id(&self, make: bool) -> Answer<Option<[u8; 16]>> {
    let _ = make;
    Answer::ready(Ok(None))
  }

  /// What the database holds at the moment.
  fn usage(&self) -> Answer<Usage> {
    Answer::ready(Ok(Usage::default()))
  }

  /// What the engine has done so far.
  fn stats(&self) -> Stats {
    Stats::default()
  }
}
