use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};

use rusqlite::Connection;

use super::SqliteOptions;
use super::commit::{WriteError, commit_group};
use crate::store::{AtomicWrite, CommitOutcome, Reply, StoreError};

/// A group commit takes no more writes than this …
const GROUP_WRITES: usize = 1024;
/// … and, once it holds so many bytes, no further one: readers of a large WAL are slow.
const GROUP_BYTES: usize = 8 << 20;

/// An atomic write, and who waits for it.
pub(super) struct Job {
  pub(super) write: AtomicWrite,
  pub(super) reply: Reply<CommitOutcome>,
}

/// The thread that writes to one file. It alone has the write connection, so no two writes of
/// this process ever wait for each other's lock.
pub(super) struct Writer {
  path: PathBuf,
  connection: Connection,
  options: SqliteOptions,
  /// Dropped, after the connection, when the thread ends.
  _ended: Sender<()>,
}

impl Writer {
  pub(super) fn new(
    path: PathBuf,
    connection: Connection,
    options: SqliteOptions,
    ended: Sender<()>,
  ) -> Self {
    Self {
      path,
      connection,
      options,
      _ended: ended,
    }
  }

  /// Commits until all senders are gone and everything they sent is answered.
  pub(super) fn run(mut self, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
      let mut bytes = job.write.size();
      let mut group = vec![job];
      while group.len() < GROUP_WRITES
        && bytes < GROUP_BYTES
        && let Ok(job) = jobs.try_recv()
      {
        bytes += job.write.size();
        group.push(job);
      }
      self.commit(group);
    }
  }

  fn commit(&mut self, group: Vec<Job>) {
    let now_ms = self.options.clock.now_ms();
    let writes = group.iter().map(|job| &job.write);
    let results: Vec<_> = match commit_group(&mut self.connection, writes, now_ms) {
      Ok(outcomes) => outcomes
        .into_iter()
        .map(|outcome| outcome.map_err(|error| self.explain(error)))
        .collect(),
      Err(error) => {
        let error = self.explain(WriteError::Sqlite(error));
        group.iter().map(|_| Err(error.clone())).collect()
      }
    };
    for (job, result) in group.into_iter().zip(results) {
      // Nobody waits any more: the runtime that wrote is gone. The write stands.
      let _ = job.reply.send(result);
    }
  }

  fn explain(&self, error: WriteError) -> StoreError {
    match error {
      WriteError::Refused(error) => error,
      WriteError::Sqlite(error) => {
        let waited_ms = self.options.busy_timeout.as_millis() as u64;
        StoreError::from_sqlite(&self.path, waited_ms, error)
      }
    }
  }
}
