use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Database;
use crate::engine::{
  Answer, AtomicWrite, Backend, CommitOutcome, Durability, Entries, Held, Listener, ReadRange,
  StoreError, Watcher, answer_channel,
};
use crate::sqlite::delivery::{QueueListener, ReadOnlyListener};
use crate::sqlite::error::{ReadError, is_busy, is_interrupted};
use crate::sqlite::interrupt::{self, Abandoned};
use crate::sqlite::read::query::{self, Budget};
use crate::sqlite::write::{Executor, Job, Order};

/// What a read may cost the calling thread: a `list` batch of the default size takes a tenth of a millisecond, and in
/// a millisecond 256 KB are read ten times. A longer read is done by the reader thread, so that an event loop is not
/// held up.
const INLINE: Budget = Budget {
  rows: 128,
  bytes: 256 << 10,
  time: Some(INLINE_TIME),
};
const INLINE_TIME: Duration = Duration::from_micros(500);

/// What an entry of a read that waits behind writes counts as, where groups of a commit are kept small.
const ORDERED_ENTRY_BYTES: usize = 1024;

/// A database file as one caller has opened it.
pub(crate) struct Handle {
  database: Arc<Database>,
  durability: Durability,
  order: Order,
  /// Set when the handle is closed: nobody wants what is being read for it.
  abandoned: Abandoned,
}

impl Handle {
  pub(crate) fn new(database: Arc<Database>, durability: Durability) -> Self {
    Self {
      database,
      durability,
      order: Order::default(),
      abandoned: Abandoned::default(),
    }
  }

  /// The door for all reads: behind the writes of this handle if some are outstanding, else on the calling thread
  /// within the budget [`INLINE`], else on the reader thread.
  fn read(&self, ranges: Vec<ReadRange>) -> Result<Answer<Vec<Entries>>, StoreError> {
    let database = &self.database;
    if !self.order.is_clear() {
      return self.read_in_order(ranges);
    }
    let result = database.read_now(|connection, now_ms| {
      interrupt::until(Instant::now() + INLINE_TIME, || {
        query::snapshot_read(connection, &ranges, now_ms, &INLINE)
      })
    });
    match result {
      // The thread can take its time.
      Err(ReadError::OverBudget) => {}
      Err(ReadError::Sqlite(error)) if is_interrupted(&error) || is_busy(&error) => {}
      result => return Ok(Answer::Now(result.map_err(|error| database.explain(error)))),
    }
    // Later calls must not be seen: the snapshot is taken now, or the read has its place among the writes.
    match database.pool.snapshot() {
      Ok(Some(snapshot)) => database.read_later(ranges, Some(snapshot), &self.abandoned),
      Ok(None) => self.read_in_order(ranges),
      Err(error) if is_busy(&error) => self.read_in_order(ranges),
      Err(error) => Err(database.explain(error.into())),
    }
  }

  /// Reads behind what this handle has asked for, in the queue of the writer.
  fn read_in_order(&self, ranges: Vec<ReadRange>) -> Result<Answer<Vec<Entries>>, StoreError> {
    let Some(writer) = &self.database.writer else {
      return self.database.read_later(ranges, None, &self.abandoned);
    };
    let (reply, answer) = answer_channel(Some(writer.clone()));
    let entries: u64 = ranges
      .iter()
      .map(|range| u64::from(range.limit.get()))
      .sum();
    let bytes = usize::try_from(entries).map_or(usize::MAX, |entries| {
      entries.saturating_mul(ORDERED_ENTRY_BYTES)
    });
    let job = Job::read(ranges, bytes, reply).at(self.order.enter());
    writer.clone().submit(job, true)?;
    Ok(answer)
  }
}

impl Backend for Handle {
  fn snapshot_read(&self, ranges: Vec<ReadRange>) -> Answer<Vec<Entries>> {
    self
      .read(ranges)
      .unwrap_or_else(|error| Answer::Now(Err(error)))
  }

  fn get_at_once(&self, key: &[u8]) -> Option<Result<Option<Held>, StoreError>> {
    let database = &self.database;
    if !self.order.is_clear() {
      return None;
    }
    let result = database.read_now(|connection, now_ms| query::get(connection, key, now_ms));
    match result {
      // The thread can wait.
      Err(ReadError::Sqlite(error)) if is_busy(&error) => None,
      result => Some(result.map_err(|error| database.explain(error))),
    }
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let Some(writer) = &self.database.writer else {
      return Answer::Now(Err(StoreError::ReadOnly {
        path: self.database.path.clone(),
      }));
    };
    let (reply, answer) = answer_channel(Some(writer.clone()));
    writer.wait_for_room();
    let job = Job::write(write, self.durability, reply).at(self.order.enter());
    match writer.clone().submit(job, true) {
      Ok(()) => answer,
      Err(error) => Answer::Now(Err(error)),
    }
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Watcher {
    self.database.background.watch(keys)
  }

  fn listen(&self) -> Arc<dyn Listener> {
    let database = &self.database;
    if database.writer.is_none() {
      return Arc::new(ReadOnlyListener {
        path: database.path.clone(),
      });
    }
    let dispatcher = database.background.dispatcher();
    let owner = database.clone();
    Arc::new(QueueListener::new(dispatcher, self.durability, owner))
  }
}

impl Drop for Handle {
  fn drop(&mut self) {
    // This is the one place that sets it.
    let _ = self.abandoned.set(Instant::now());
  }
}
