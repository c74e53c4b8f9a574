//! What is done in one SQLite transaction: tasks on their own or in a group, each atomic by itself, and the numbers
//! that versionstamps are made of.

mod atomic;
mod database_id;
mod execute;
mod expiry;
mod statements;
mod task;
pub(crate) mod version;
mod write_ids;

use rusqlite::Connection;

pub(crate) use database_id::read as database_id;
pub(crate) use expiry::next_expiry;
pub(crate) use task::{Outcome, Task};

use super::error::WriteError;
use execute::execute;
use statements::{Statements, run};
use version::VersionAllocator;

// The write lock is taken at once: a lock that is taken later can be refused in the middle.
const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const SAVEPOINT: &str = "SAVEPOINT one_task";
const RELEASE: &str = "RELEASE one_task";
const ROLLBACK_TO: &str = "ROLLBACK TO one_task";

/// What became of each task of a group that was committed, in order.
pub(crate) type GroupOutcome = Vec<Result<Outcome, WriteError>>;

/// A file that is written to.
pub(crate) struct File<'f> {
  pub(crate) connection: &'f mut Connection,
  pub(crate) versions: &'f mut VersionAllocator,
  /// Called when a transaction holds the write lock. Returns the time, in UTC milliseconds, that the transaction goes
  /// by: waiting for the lock may have taken seconds.
  pub(crate) on_lock: &'f mut dyn FnMut(&Connection) -> Result<u64, WriteError>,
}

impl File<'_> {
  /// Does `work` in a transaction. It gets the version of the last commit and the time, and returns the last version
  /// that it has used.
  fn in_transaction<T, E: From<rusqlite::Error> + From<WriteError>>(
    &mut self,
    work: impl FnOnce(&Connection, i64, u64) -> Result<(T, i64), E>,
  ) -> Result<T, E> {
    let (done, allocation) = in_transaction(self.connection, |connection| {
      let mut allocation = self.versions.begin(connection)?;
      let now_ms = (self.on_lock)(connection)?;
      let (done, last) = work(connection, allocation.last(), now_ms)?;
      allocation.use_up(connection, last)?;
      Ok::<_, E>((done, allocation))
    })?;
    self.versions.committed(self.connection, allocation);
    Ok(done)
  }
}

/// Does all `tasks` in one transaction. Each is atomic on its own: one that fails is rolled
/// back alone, and the others are committed.
///
/// # Errors
/// The transaction as a whole failed: nothing of any task is stored.
pub(crate) fn commit_group<'a>(
  file: &mut File<'_>,
  tasks: impl IntoIterator<Item = &'a Task> + Clone,
) -> Result<GroupOutcome, WriteError> {
  // With a savepoint, SQLite copies every page that is changed after it; and few tasks fail.
  let result = match try_group(file, tasks.clone(), Savepoints::No) {
    Err(GroupError::InItsMiddle(_)) => try_group(file, tasks, Savepoints::Yes),
    result => result,
  };
  result.map_err(|error| match error {
    GroupError::Whole(error) | GroupError::InItsMiddle(error) => error,
  })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Savepoints {
  Yes,
  No,
}

/// Why a group failed.
enum GroupError {
  Whole(WriteError),
  /// One task failed, and may have changed something. Without a savepoint, only a rollback of the group undoes that.
  InItsMiddle(WriteError),
}

impl From<rusqlite::Error> for GroupError {
  fn from(error: rusqlite::Error) -> Self {
    Self::Whole(error.into())
  }
}

impl From<WriteError> for GroupError {
  fn from(error: WriteError) -> Self {
    Self::Whole(error)
  }
}

fn try_group<'a>(
  file: &mut File<'_>,
  tasks: impl IntoIterator<Item = &'a Task>,
  savepoints: Savepoints,
) -> Result<GroupOutcome, GroupError> {
  file.in_transaction(|connection, mut version, now_ms| {
    let mut outcomes = Vec::new();
    let mut statements = Statements::new(connection);
    for task in tasks {
      let can_fail_halfway = !task.is_one_statement();
      let has_savepoint = can_fail_halfway && savepoints == Savepoints::Yes;
      if has_savepoint {
        run(connection, SAVEPOINT)?;
      }
      match execute(&mut statements, task, version + 1, now_ms) {
        Ok(outcome) => {
          if has_savepoint {
            run(connection, RELEASE)?;
          }
          if outcome.uses_version() {
            version += 1;
          }
          outcomes.push(Ok(outcome));
        }
        // Some errors, a full disk for one, make SQLite roll back the whole transaction. Then the tasks
        // before this one are undone as well, and none of them may be answered with success.
        Err(error) if connection.is_autocommit() => return Err(GroupError::Whole(error)),
        Err(error) => {
          if has_savepoint {
            run(connection, ROLLBACK_TO)?;
            run(connection, RELEASE)?;
          } else if can_fail_halfway {
            return Err(GroupError::InItsMiddle(error));
          }
          outcomes.push(Err(error));
        }
      }
    }
    Ok((outcomes, version))
  })
}

/// Does a task that is alone: its transaction is all it takes to undo it.
///
/// # Errors
/// Nothing was changed.
pub(crate) fn commit_one(file: &mut File<'_>, task: &Task) -> Result<Outcome, WriteError> {
  file.in_transaction(|connection, last, now_ms| {
    let outcome = execute(&mut Statements::new(connection), task, last + 1, now_ms)?;
    let used = i64::from(outcome.uses_version());
    Ok((outcome, last + used))
  })
}

/// Does a task in a database that nobody else has open; `last_version` is that of its last commit.
///
/// # Errors
/// Nothing was changed.
pub(crate) fn commit_private(
  connection: &mut Connection,
  last_version: &mut i64,
  task: &Task,
  now_ms: u64,
) -> Result<Outcome, WriteError> {
  let version = *last_version + 1;
  let work =
    |connection: &Connection| execute(&mut Statements::new(connection), task, version, now_ms);
  let outcome = match task.is_one_statement() {
    true => work(connection)?,
    false => in_transaction(connection, work)?,
  };
  if outcome.uses_version() {
    *last_version = version;
  }
  Ok(outcome)
}

/// Does `work` in a transaction, which is committed if it succeeds, and else rolled back.
///
/// rusqlite's own transactions prepare their statements anew each time, which costs more than what
/// a small commit in memory does.
fn in_transaction<T, E: From<rusqlite::Error>>(
  connection: &mut Connection,
  work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
  run(connection, BEGIN)?;
  let result = work(connection).and_then(|done| {
    run(connection, COMMIT)?;
    Ok(done)
  });
  // Some errors make SQLite roll back by itself.
  if result.is_err() && !connection.is_autocommit() {
    // Why the work failed says more than why it can't be undone; if it can't, the next transaction
    // can't begin, and says so.
    let _ = run(connection, ROLLBACK);
  }
  result
}
