//! Which thread a read runs on, and in which order.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{Database, Handle, ReadJob};
use crate::engine::{Answer, Entries, ReadRange, StoreError};
use crate::sqlite::error::{ReadError, is_busy, is_interrupted};
use crate::sqlite::interrupt::{self, Abandoned};
use crate::sqlite::mutex::lock;
use crate::sqlite::read::pool::Snapshot;
use crate::sqlite::read::query::{self, Budget};
use crate::sqlite::thread;
use crate::sqlite::write::{Executor, Job};

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

impl Handle {
  /// The door for all reads: behind the writes of this handle if some are outstanding, else on the calling thread
  /// within the budget [`INLINE`], else on the reader thread.
  pub(super) fn read(&self, ranges: Vec<ReadRange>) -> Result<Answer<Vec<Entries>>, StoreError> {
    let database = self.database()?;
    if !self.order.is_clear() {
      return self.read_in_order(&database, ranges);
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
      result => {
        return Ok(Answer::ready(
          result.map_err(|error| database.explain(error)),
        ));
      }
    }
    // Later calls must not be seen: the snapshot is taken now, or the read has its place among the writes.
    match database.pool.snapshot() {
      Ok(None) if self.is_for_reads => database.read_later(ranges, None, &self.abandoned),
      Ok(Some(snapshot)) => database.read_later(ranges, Some(snapshot), &self.abandoned),
      Ok(None) => self.read_in_order(&database, ranges),
      Err(error) if is_busy(&error) && self.is_for_reads => {
        database.read_later(ranges, None, &self.abandoned)
      }
      Err(error) if is_busy(&error) => self.read_in_order(&database, ranges),
      Err(error) => Err(database.explain(error.into())),
    }
  }

  /// Reads behind what this handle has asked for, in the queue of the writer.
  pub(super) fn read_in_order(
    &self,
    database: &Arc<Database>,
    ranges: Vec<ReadRange>,
  ) -> Result<Answer<Vec<Entries>>, StoreError> {
    let Some(writer) = &database.writer else {
      return database.read_later(ranges, None, &self.abandoned);
    };
    let (reply, answer) = Answer::queued(Some(writer.clone()));
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

impl Database {
  /// Reads on the calling thread.
  pub(super) fn read_now<T>(
    &self,
    read: impl FnOnce(&Connection, u64) -> Result<T, ReadError>,
  ) -> Result<T, ReadError> {
    let now_ms = self.options.clock.now_ms();
    let keep = || self.background.start_maintenance();
    self
      .pool
      .read(now_ms, keep, |connection| read(connection, now_ms))
  }

  /// Reads as long as it takes. It waits for locks too: another process may be recovering the log after a crash.
  fn read_patiently(&self, ranges: &[ReadRange]) -> Result<Vec<Entries>, ReadError> {
    self.pool.read_alone(|connection| {
      connection.busy_timeout(self.options.busy_timeout)?;
      let now_ms = self.options.clock.now_ms();
      let result = query::snapshot_read(connection, ranges, now_ms, &Budget::UNLIMITED);
      connection.busy_timeout(Duration::ZERO)?;
      result
    })
  }

  /// Reads on the reader thread: from `snapshot`, or from one that it takes when it comes to it.
  pub(super) fn read_later(
    self: &Arc<Self>,
    ranges: Vec<ReadRange>,
    snapshot: Option<Snapshot>,
    abandoned: &Abandoned,
  ) -> Result<Answer<Vec<Entries>>, StoreError> {
    let mut thread = lock(&self.read_thread);
    let jobs = match &*thread {
      Some(jobs) => jobs,
      None => {
        let (jobs, waiting) = mpsc::channel::<ReadJob>();
        thread::spawn(&self.path, "kv-reader", move || {
          waiting.iter().for_each(|job| job())
        })?;
        thread.insert(jobs)
      }
    };
    let (reply, answer) = Answer::queued(None);
    let (database, abandoned) = (self.clone(), abandoned.clone());
    let now_ms = self.options.clock.now_ms();
    let job: ReadJob = Box::new(move || {
      if reply.is_closed() {
        return;
      }
      let result = match snapshot {
        Some(snapshot) => database.pool.read_from(snapshot, |connection| {
          interrupt::while_wanted(&abandoned, || {
            query::snapshot_read(connection, &ranges, now_ms, &Budget::UNLIMITED)
          })
        }),
        None => interrupt::while_wanted(&abandoned, || database.read_patiently(&ranges)),
      };
      let result = result.map_err(|error| database.explain(error));
      // Before the answer: whoever gets it may close the database, and expects it closed.
      drop(database);
      // Sending fails when the handle was closed: nobody waits any more.
      let _ = reply.send(result);
    });
    jobs.send(job).map_err(|_| StoreError::closed())?;
    Ok(answer)
  }
}
