use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::{AfterCommit, Job};
use crate::engine::{Durability, ReadRange, StoreError};
use crate::sqlite::error::{WriteError, locked, store_error};
use crate::sqlite::file::in_place::InPlace;
use crate::sqlite::file::in_use::InUse;
use crate::sqlite::options::SqliteOptions;
use crate::sqlite::read::pool::Pool;
use crate::sqlite::read::query::{self, Budget};
use crate::sqlite::transaction::version::VersionAllocator;
use crate::sqlite::transaction::{File, GroupOutcome, Outcome, Task, commit_group, commit_one};
use crate::sqlite::wal::checkpoint::{self, Checkpointer};
use crate::sqlite::wal::foreign_commits::{ForeignCommits, OwnCommit};
use crate::sqlite::wal::index::IndexReader;
use crate::sqlite::wal::preallocation::Preallocation;

/// The write connection of a file, with what belongs to it. There is one, and whoever holds it
/// commits: so no two writes of this process ever wait for each other's lock.
pub(crate) struct WriteConnection {
  /// Before the connection, so that it is dropped first: the last connection to a file that is
  /// closed moves the log into it, and must be the one that writes.
  checkpointer: Checkpointer,
  connection: Connection,
  path: PathBuf,
  in_place: InPlace,
  options: SqliteOptions,
  /// Its snapshots are released before each commit.
  pool: Arc<Pool>,
  foreign_commits: Arc<ForeignCommits>,
  after_commit: Arc<dyn AfterCommit>,
  /// What the connection is set to.
  durability: Durability,
  busy_timeout: Option<Duration>,
  /// The length of the log after the last commit, until the checkpointer is told.
  log_pages: Option<u32>,
  preallocation: Preallocation,
  versions: VersionAllocator,
  index: IndexReader,
  /// After the connection, so that it is dropped after it.
  _in_use: Arc<InUse>,
}

/// Whether a group's jobs have been answered.
#[must_use]
pub(super) enum Attempt {
  /// All of them.
  Answered,
  /// None: another process holds the write lock. Nothing was done.
  Locked(Vec<Job>),
}

impl WriteConnection {
  /// `connection` is as `connect::writer` makes it.
  pub(crate) fn new(
    path: PathBuf,
    connection: Connection,
    options: SqliteOptions,
    pool: Arc<Pool>,
    foreign_commits: Arc<ForeignCommits>,
    after_commit: Arc<dyn AfterCommit>,
    in_use: Arc<InUse>,
  ) -> Self {
    checkpoint::report_log_pages(&connection);
    Self {
      checkpointer: Checkpointer::new(path.clone()),
      connection,
      in_place: InPlace::new(&path),
      path,
      pool,
      foreign_commits,
      after_commit,
      durability: Durability::Full,
      busy_timeout: None,
      log_pages: None,
      preallocation: Preallocation::default(),
      versions: VersionAllocator::default(),
      index: IndexReader::new(options.wal_index),
      _in_use: in_use,
      options,
    }
  }

  /// Does the jobs of a group in one transaction with one sync, and answers all of them. While
  /// another process holds the write lock, it waits as long as the options say.
  pub(super) fn commit(&mut self, group: Vec<Job>) {
    self.pool.release();
    if self.must_restart_log() {
      self.checkpointer.restart_log(&self.connection);
    }
    let timeout = self.options.busy_timeout;
    if let Err(group) = self.commit_within(group, timeout) {
      self.answer_all(group, &locked(&self.path, timeout));
    }
  }

  /// Whether the next commit restarts the log first, which takes longer than a commit.
  pub(super) fn must_restart_log(&self) -> bool {
    self.checkpointer.must_restart_log()
  }

  /// Bytes in the log after the last commit, and how many checkpoints were made.
  pub(super) fn log_stats(&mut self) -> (u64, u64) {
    let log_pages = self.checkpointer.log_pages();
    let log_bytes = self.preallocation.log_bytes(&self.connection, log_pages);
    (log_bytes, self.checkpointer.count())
  }

  /// The same as `commit`, for a caller that can't wait: neither for another process, nor for the log to be restarted.
  pub(super) fn try_commit(&mut self, group: Vec<Job>) -> Attempt {
    self.pool.release();
    match self.commit_within(group, Duration::ZERO) {
      Ok(()) => Attempt::Answered,
      Err(group) => Attempt::Locked(group),
    }
  }

  /// Answers a group, or returns it: the file was locked for longer than `busy_timeout`.
  fn commit_within(&mut self, group: Vec<Job>, busy_timeout: Duration) -> Result<(), Vec<Job>> {
    let writes = self.answer_leading_reads(group, busy_timeout)?;
    if writes.is_empty() {
      return Ok(());
    }
    match self.execute(&writes, busy_timeout) {
      Err(error) if error.is_busy() => Err(writes),
      result => {
        self.answer(writes, result);
        Ok(())
      }
    }
  }

  /// Answers the reads at the front: the writes before them are committed, so they need no transaction. Returns the
  /// rest.
  fn answer_leading_reads(
    &mut self,
    group: Vec<Job>,
    busy_timeout: Duration,
  ) -> Result<Vec<Job>, Vec<Job>> {
    let mut jobs = VecDeque::from(group);
    while let Some(job) = jobs.pop_front() {
      let Task::Read(ranges) = &job.task else {
        jobs.push_front(job);
        break;
      };
      match self.read(ranges, busy_timeout) {
        Err(error) if error.is_busy() => {
          jobs.push_front(job);
          return Err(jobs.into());
        }
        result => job.answer(result.map_err(|error| self.explain(error))),
      }
    }
    Ok(jobs.into())
  }

  fn read(&mut self, ranges: &[ReadRange], busy_timeout: Duration) -> Result<Outcome, WriteError> {
    self.set_busy_timeout(busy_timeout)?;
    let now_ms = self.options.clock.now_ms();
    let entries = query::snapshot_read(&self.connection, ranges, now_ms, &Budget::UNLIMITED)?;
    Ok(Outcome::Read(entries))
  }

  /// Commits a group.
  fn execute(&mut self, group: &[Job], busy_timeout: Duration) -> Result<GroupOutcome, WriteError> {
    self.set_busy_timeout(busy_timeout)?;
    // One sync serves the whole group: the most that anybody in it asks for.
    let durability = group.iter().map(|job| job.durability).max();
    self.set_durability(durability.unwrap_or_default())?;
    self.preallocate()?;
    let (outcomes, own) = self.run_transaction(group);
    self.log_pages = checkpoint::take_log_pages();
    if let Some(own) = own {
      self.find_foreign_commits(&own, outcomes.is_ok());
    }
    // Before anything is acknowledged: the commit may have gone to files without names.
    self.in_place.check().map_err(WriteError::Refused)?;
    outcomes
  }

  fn preallocate(&mut self) -> rusqlite::Result<()> {
    if self.options.wal_preallocation && self.durability == Durability::Full {
      let log_pages = self.checkpointer.log_pages();
      self.preallocation.extend(&self.connection, log_pages)?;
    }
    Ok(())
  }

  /// Runs the transaction of a group. Returns its place among the commits of all processes too, if it has got the
  /// write lock and there is an index that counts them.
  fn run_transaction(
    &mut self,
    group: &[Job],
  ) -> (Result<GroupOutcome, WriteError>, Option<OwnCommit>) {
    let (foreign_commits, index) = (&self.foreign_commits, &mut self.index);
    let (clock, in_place) = (&self.options.clock, &self.in_place);
    let mut own: Option<OwnCommit> = None;
    let mut file = File {
      connection: &mut self.connection,
      versions: &mut self.versions,
      on_lock: &mut |connection| {
        // A group that is done again, with savepoints.
        if let Some(own) = own.take() {
          foreign_commits.undo(&own);
        }
        let index = index.read(connection);
        own = index.map(|index| foreign_commits.begin(index.i_change()));
        // Not before: waiting for the lock may have taken seconds.
        in_place.check().map_err(WriteError::Refused)?;
        Ok(clock.now_ms())
      },
    };
    let outcomes = match group {
      [job] => commit_one(&mut file, &job.task).map(|outcome| vec![Ok(outcome)]),
      group => {
        let tasks = group.iter().map(|job| &job.task);
        commit_group(&mut file, tasks)
      }
    };
    (outcomes, own)
  }

  fn find_foreign_commits(&self, own: &OwnCommit, is_committed: bool) {
    if !is_committed {
      self.foreign_commits.undo(own);
      return;
    }
    // SQLite reports the log if the commit has changed anything.
    let has_changed = self.log_pages.is_some();
    if self.foreign_commits.end(own, has_changed) {
      self.after_commit.foreign_commits();
    }
  }

  fn answer(&mut self, group: Vec<Job>, result: Result<GroupOutcome, WriteError>) {
    match result {
      Ok(outcomes) => {
        for (job, outcome) in group.into_iter().zip(outcomes) {
          if let Ok(outcome) = &outcome {
            self.after_commit.committed(&job.task, outcome);
          }
          job.answer(outcome.map_err(|error| self.explain(error)));
        }
      }
      Err(error) => {
        let error = self.explain(error);
        self.answer_all(group, &error);
      }
    }
    if let Some(pages) = self.log_pages.take() {
      self.checkpointer.after_commit(pages);
    }
  }

  /// Answers a group of which nothing was done, for one reason. Reads among it see the file without the writes.
  fn answer_all(&mut self, group: Vec<Job>, error: &StoreError) {
    for job in group {
      let result = match &job.task {
        Task::Read(ranges) => self
          .read(ranges, Duration::ZERO)
          .map_err(|error| self.explain(error)),
        _ => Err(error.clone()),
      };
      job.answer(result);
    }
  }

  fn explain(&self, error: WriteError) -> StoreError {
    error.explain(|error| store_error(&self.path, self.options.busy_timeout, error))
  }

  fn set_busy_timeout(&mut self, wanted: Duration) -> rusqlite::Result<()> {
    if self.busy_timeout != Some(wanted) {
      self.connection.busy_timeout(wanted)?;
      self.busy_timeout = Some(wanted);
    }
    Ok(())
  }

  /// Sets what a commit waits for, where it is set to something else.
  fn set_durability(&mut self, wanted: Durability) -> rusqlite::Result<()> {
    if self.durability != wanted {
      let synchronous = match wanted {
        Durability::Full => "full",
        // In WAL mode: no sync but at checkpoints, where the order of what reaches the disk counts.
        Durability::Relaxed => "normal",
      };
      self
        .connection
        .pragma_update(None, "synchronous", synchronous)?;
      self.durability = wanted;
    }
    Ok(())
  }
}

#[cfg(test)]
mod tests {
  use std::time::Instant;

  use super::*;
  use crate::engine::{Answer, AtomicWrite};
  use crate::sqlite::write::tests::connection_alone;

  #[test]
  fn group_is_as_durable_as_its_most_careful_write() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let mut committer = connection_alone(&path, SqliteOptions::default());
    let mut synchronous_after = |group: &[Durability]| -> i64 {
      let (jobs, answers): (Vec<_>, Vec<_>) = group
        .iter()
        .map(|&durability| {
          let (reply, answer) = Answer::queued(None);
          (
            Job::write(AtomicWrite::default(), durability, reply),
            answer,
          )
        })
        .unzip();
      committer.commit(jobs);
      for answer in answers {
        answer.wait_blocking().unwrap();
      }
      let connection = &committer.connection;
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

  /// Hundredths of a second that this thread has computed.
  #[cfg(target_os = "linux")]
  fn thread_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
    fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
  }

  #[cfg(target_os = "linux")]
  #[test]
  fn waiting_for_another_process_takes_no_computing() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let options = SqliteOptions {
      busy_timeout: Duration::from_millis(500),
      ..SqliteOptions::default()
    };
    let mut committer = connection_alone(&path, options);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (reply, answer) = Answer::queued(None);
    let (before, started) = (thread_ticks(), Instant::now());
    committer.commit(vec![Job::write(
      AtomicWrite::default(),
      Durability::Full,
      reply,
    )]);
    assert!(started.elapsed() >= Duration::from_millis(450));
    assert!(thread_ticks() - before <= 5, "{}", thread_ticks() - before);
    let message = answer.wait_blocking().unwrap_err().to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
  }
}
