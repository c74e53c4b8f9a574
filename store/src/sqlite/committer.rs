use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::SqliteOptions;
use super::checkpoint::{self, Checkpointer};
use super::commit::{File, GroupOutcome, WriteError, commit_group, commit_one};
use super::connect::is_busy;
use super::counter::Counter;
use super::events::Events;
use super::in_place::InPlace;
use super::log_room::LogRoom;
use super::news::{Count, Own};
use super::reader::{self, Budget};
use super::task::{Job, Outcome, Task};
use crate::engine::{Durability, ReadRange, StoreError};

/// The write connection of a file, with what belongs to it. There is one, and whoever holds it
/// commits: so no two writes of this process ever wait for each other's lock.
pub(super) struct Committer {
  /// Before the connection, so that it is dropped first: the last connection to a file that is
  /// closed tidies up, and must be the one that writes.
  checkpointer: Checkpointer,
  connection: Connection,
  path: PathBuf,
  in_place: InPlace,
  options: SqliteOptions,
  events: Arc<Events>,
  /// What the connection is set to.
  durability: Durability,
  busy_timeout: Option<Duration>,
  /// What the last commit has reported of the log, until the checkpointer is told.
  log_pages: Option<u32>,
  log_room: LogRoom,
  /// The numbers of commits, and how many commits there are, by all processes.
  counter: Counter,
  count: Count,
}

/// Whether a group's jobs have been answered.
#[must_use]
pub(super) enum Attempt {
  /// All of them.
  Answered,
  /// None: another process holds the write lock. Nothing was done.
  Locked(Vec<Job>),
}

impl Committer {
  /// `connection` is as `connect::writer` makes it.
  pub(super) fn new(
    path: PathBuf,
    connection: Connection,
    options: SqliteOptions,
    events: Arc<Events>,
  ) -> Self {
    checkpoint::report_log_pages(&connection);
    Self {
      checkpointer: Checkpointer::new(path.clone()),
      connection,
      in_place: InPlace::new(&path),
      path,
      durability: Durability::Full,
      busy_timeout: None,
      log_pages: None,
      log_room: LogRoom::default(),
      counter: Counter::default(),
      count: Count::default(),
      events,
      options,
    }
  }

  /// Does the jobs of a group in one transaction with one sync, and answers all of them. While
  /// another process holds the write lock, it waits as long as the options say.
  pub(super) fn commit(&mut self, group: Vec<Job>) {
    self.let_readers_go();
    if self.wants_pause() {
      self.checkpointer.pause(&self.connection);
    }
    let timeout = self.options.busy_timeout;
    if let Err(group) = self.commit_within(group, timeout) {
      // It was waited for as long as the options say.
      self.answer_all(group, &self.locked());
    }
  }

  /// Whether the next commit makes a pause first, for a checkpoint.
  pub(super) fn wants_pause(&self) -> bool {
    self.checkpointer.wants_pause()
  }

  /// The same as `commit`, for a caller that can't wait: not for another process, and not for a
  /// pause.
  pub(super) fn try_commit(&mut self, group: Vec<Job>) -> Attempt {
    self.let_readers_go();
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
      Err(WriteError::Sqlite(error)) if is_busy(&error) => Err(writes),
      result => {
        self.answer(writes, result);
        Ok(())
      }
    }
  }

  /// The writes that these reads wait for are committed: they need no transaction. Returns the rest.
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
        Err(WriteError::Sqlite(error)) if is_busy(&error) => {
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
    let entries = reader::snapshot_read(&self.connection, ranges, now_ms, &Budget::UNLIMITED)?;
    Ok(Outcome::Read(entries))
  }

  /// A snapshot that is kept would keep the log from starting over.
  fn let_readers_go(&self) {
    if let Some(readers) = &self.events.readers {
      readers.let_go();
    }
  }

  fn execute(&mut self, group: &[Job], busy_timeout: Duration) -> Result<GroupOutcome, WriteError> {
    self.set_busy_timeout(busy_timeout)?;
    // One sync serves the whole group: the most that anybody in it asks for.
    let durability = group.iter().map(|job| job.durability).max();
    self.set_durability(durability.unwrap_or_default())?;
    if self.durability == Durability::Full {
      let log_pages = self.checkpointer.log_pages();
      self.log_room.make(&self.connection, log_pages)?;
    }
    let news = &self.events.news;
    let (clock, in_place) = (&self.options.clock, &self.in_place);
    let mut own: Option<Own> = None;
    let is_wal = self.count.is_wal(&self.connection);
    let mut file = File {
      connection: &mut self.connection,
      counter: &mut self.counter,
      is_wal,
      begun: &mut |connection, last| {
        // A group that is done again.
        if let Some(own) = own.take() {
          news.undo(&own);
        }
        own = Some(news.begin(self.count.now(connection, || Ok(last))?));
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
    self.log_pages = checkpoint::take_log_pages();
    if let Some(own) = own {
      let count = match is_wal {
        // SQLite reports the log if the commit has changed anything.
        true => own.count.wrapping_add(self.log_pages.is_some().into()),
        false => self.counter.last() as u32,
      };
      if outcomes.is_err() {
        news.undo(&own);
      } else if news.end(&own, count) {
        self.events.watchers.raise_all();
      }
    }
    // Before anything is acknowledged: the commit may have gone to files without names.
    self.in_place.check().map_err(WriteError::Refused)?;
    outcomes
  }

  fn answer(&mut self, group: Vec<Job>, result: Result<GroupOutcome, WriteError>) {
    match result {
      Ok(outcomes) => {
        for (job, outcome) in group.into_iter().zip(outcomes) {
          if let Ok(outcome) = &outcome {
            self.events.happened(&job.task, outcome);
          }
          let outcome = outcome.map_err(|error| self.explain(error));
          job.answer(outcome);
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

  /// Nothing of these was done, for one reason. Reads among them see the file without the writes.
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

  fn locked(&self) -> StoreError {
    StoreError::Locked {
      path: self.path.clone(),
      waited_ms: self.options.busy_timeout.as_millis() as u64,
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
  use crate::engine::{AtomicWrite, answer_channel};
  use crate::sqlite::connect;

  fn committer(path: PathBuf, connection: Connection, options: SqliteOptions) -> Committer {
    let events = Events::new(options.clock.clone(), None);
    Committer::new(path, connection, options, events)
  }

  #[test]
  fn a_group_is_as_durable_as_its_most_careful_write() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let opened = connect::writer(&path, Duration::ZERO).unwrap();
    let mut committer = committer(path, opened.connection, SqliteOptions::default());
    let mut synchronous_after = |group: &[Durability]| -> i64 {
      let (jobs, answers): (Vec<_>, Vec<_>) = group
        .iter()
        .map(|&durability| {
          let (reply, answer) = answer_channel(None);
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
    let opened = connect::writer(&path, options.busy_timeout).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut committer = committer(path.clone(), opened.connection, options);
    let (reply, answer) = answer_channel(None);
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
