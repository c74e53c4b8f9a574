use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};

use rusqlite::Connection;

use super::SqliteOptions;
use super::commit::{WriteError, commit_group};
use crate::store::{AtomicWrite, CommitOutcome, Durability, Reply, StoreError};

/// A group commit takes no more writes than this …
const GROUP_WRITES: usize = 1024;
/// … and, once it holds so many bytes, no further one: readers of a large WAL are slow.
const GROUP_BYTES: usize = 8 << 20;

/// An atomic write, and who waits for it.
pub(super) struct Job {
  pub(super) write: AtomicWrite,
  pub(super) durability: Durability,
  pub(super) reply: Reply<CommitOutcome>,
}

/// The thread that writes to one file. It alone has the write connection, so no two writes of
/// this process ever wait for each other's lock.
pub(super) struct Writer {
  path: PathBuf,
  connection: Connection,
  options: SqliteOptions,
  /// What the connection is set to.
  durability: Durability,
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
      // As `connect::writer` has left it.
      durability: Durability::Full,
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
    // One sync serves the whole group: the most that anybody in it asks for.
    let durability = group.iter().map(|job| job.durability).max();
    let writes = group.iter().map(|job| &job.write);
    let outcomes = set_durability(
      &self.connection,
      &mut self.durability,
      durability.unwrap_or_default(),
    )
    .and_then(|()| commit_group(&mut self.connection, writes, now_ms));
    let results: Vec<_> = match outcomes {
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

/// Sets what a commit on the connection waits for, where it is set to something else.
fn set_durability(
  connection: &Connection,
  current: &mut Durability,
  wanted: Durability,
) -> rusqlite::Result<()> {
  if *current != wanted {
    let synchronous = match wanted {
      Durability::Full => "full",
      // In WAL mode: no sync but at checkpoints, where the order of what reaches the disk counts.
      Durability::Relaxed => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    *current = wanted;
  }
  Ok(())
}

#[cfg(test)]
mod tests {
  use std::sync::mpsc;
  use std::time::Duration;

  use super::*;
  use crate::store::answer_channel;
  use crate::store::sqlite::connect;

  #[test]
  fn a_group_is_as_durable_as_its_most_careful_write() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let opened = connect::writer(&path, Duration::ZERO).unwrap();
    let (ended, _writer_ended) = mpsc::channel();
    let mut writer = Writer::new(path, opened.connection, SqliteOptions::default(), ended);
    let mut synchronous_after = |group: &[Durability]| -> i64 {
      let (jobs, answers): (Vec<_>, Vec<_>) = group
        .iter()
        .map(|&durability| {
          let (reply, answer) = answer_channel();
          let write = AtomicWrite::default();
          let job = Job {
            write,
            durability,
            reply,
          };
          (job, answer)
        })
        .unzip();
      writer.commit(jobs);
      for answer in answers {
        answer.wait_blocking().unwrap();
      }
      let connection = &writer.connection;
      connection
        .pragma_query_value(None, "synchronous", |row| row.get(0))
        .unwrap()
    };
    // SQLite's numbers: 1 is NORMAL, 2 is FULL.
    use Durability::{Full, Relaxed};
    assert_eq!(synchronous_after(&[Full]), 2);
    assert_eq!(synchronous_after(&[Relaxed, Relaxed]), 1);
    assert_eq!(synchronous_after(&[Relaxed, Full, Relaxed]), 2);
    assert_eq!(synchronous_after(&[Relaxed]), 1);
    assert_eq!(synchronous_after(&[Full]), 2);
  }
}
