//! How atomic writes, and what else is to be done, become one SQLite transaction, and one fsync.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::counter::Counter;
use super::reader::{self, Budget, ReadError};
use super::task::{Outcome, Task};
use super::{queue, sweep};
use crate::engine::number::Number;
use crate::engine::{AtomicWrite, CommitOutcome, Mutation, MutationKind, StoreError};
use crate::value::Value;
use crate::versionstamp::Versionstamp;

const VERSION_OF: &str = "SELECT version FROM kv
  WHERE k = ?1 AND (expiration_ms < 0 OR expiration_ms > ?2)";
const VALUE_OF: &str = "SELECT v, v_encoding FROM kv
  WHERE k = ?1 AND (expiration_ms < 0 OR expiration_ms > ?2)";
const SET: &str = "INSERT INTO kv (k, v, v_encoding, version, expiration_ms)
  VALUES (?1, ?2, ?3, ?4, ?5)
  ON CONFLICT (k) DO UPDATE SET
    v = excluded.v, v_encoding = excluded.v_encoding,
    version = excluded.version, expiration_ms = excluded.expiration_ms";
const DELETE: &str = "DELETE FROM kv WHERE k = ?1";

// The write lock is taken at once: a lock that is taken later can be refused in the middle.
const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const SAVEPOINT: &str = "SAVEPOINT one_write";
const RELEASE: &str = "RELEASE one_write";
const ROLLBACK_TO: &str = "ROLLBACK TO one_write";

/// Stored as the expiry of what never expires.
const NEVER: i64 = -1;

/// Why one write of a group failed.
#[derive(Debug)]
pub(super) enum WriteError {
  /// SQLite refused; perhaps the whole transaction is lost.
  Sqlite(rusqlite::Error),
  /// The write asks for something its data don't allow. The rest of the group goes on.
  Refused(StoreError),
}

impl From<rusqlite::Error> for WriteError {
  fn from(error: rusqlite::Error) -> Self {
    Self::Sqlite(error)
  }
}

impl From<ReadError> for WriteError {
  fn from(error: ReadError) -> Self {
    match error {
      ReadError::Sqlite(error) => Self::Sqlite(error),
      error => Self::Refused(error.explain(|_| StoreError::Stopped)),
    }
  }
}

/// What became of each task of a group that was committed, in order.
pub(super) type GroupOutcome = Vec<Result<Outcome, WriteError>>;

/// A file that is written to.
pub(super) struct File<'f> {
  pub(super) connection: &'f mut Connection,
  pub(super) counter: &'f mut Counter,
  /// Whether the file has a log, which counts commits.
  pub(super) is_wal: bool,
  /// Is told when a transaction has the write lock, and what the number of the last commit is then. Returns the
  /// time, in UTC milliseconds, that the transaction goes by: waiting for the lock may have taken seconds.
  pub(super) begun: &'f mut dyn FnMut(&Connection, i64) -> Result<u64, WriteError>,
}

impl File<'_> {
  /// Does `work` in a transaction. It is given the number of the last commit and the time, and returns the number
  /// of its own last.
  fn in_transaction<T, E: From<rusqlite::Error> + From<WriteError>>(
    &mut self,
    work: impl FnOnce(&Connection, i64, u64) -> Result<(T, i64), E>,
  ) -> Result<T, E> {
    let (done, numbers) = in_transaction(self.connection, |connection| {
      let mut numbers = self.counter.begin(connection)?;
      let now_ms = (self.begun)(connection, numbers.last())?;
      let (done, last) = work(connection, numbers.last(), now_ms)?;
      numbers.use_up(connection, last, self.is_wal)?;
      Ok::<_, E>((done, numbers))
    })?;
    self.counter.committed(self.connection, numbers);
    Ok(done)
  }
}

/// Does all `tasks` in one transaction. Each is atomic on its own: one that fails is rolled
/// back alone, and the others are committed.
///
/// # Errors
/// The transaction as a whole failed: nothing of any write is stored.
pub(super) fn commit_group<'a>(
  file: &mut File<'_>,
  tasks: impl IntoIterator<Item = &'a Task> + Clone,
) -> Result<GroupOutcome, WriteError> {
  // With a savepoint, SQLite copies every page that is changed after it; and few writes fail.
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
  /// One of its writes did, and may have changed something. Without a savepoint, it takes the group to undo
  /// that.
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
      let can_fail_halfway = !changes_once(task);
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
        // A full disk, for one, can make SQLite roll back the whole transaction. Then the writes
        // before this one are gone as well, and none of them may be answered with success.
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
pub(super) fn commit_one(file: &mut File<'_>, task: &Task) -> Result<Outcome, WriteError> {
  file.in_transaction(|connection, last, now_ms| {
    let outcome = execute(&mut Statements::new(connection), task, last + 1, now_ms)?;
    let used = i64::from(outcome.uses_version());
    Ok((outcome, last + used))
  })
}

/// Does a task in a database that nobody else has open; `counter` is the number of its last commit.
///
/// # Errors
/// Nothing was changed.
pub(super) fn commit_private(
  connection: &mut Connection,
  counter: &mut i64,
  task: &Task,
  now_ms: u64,
) -> Result<Outcome, WriteError> {
  let version = *counter + 1;
  let work =
    |connection: &Connection| execute(&mut Statements::new(connection), task, version, now_ms);
  let outcome = match changes_once(task) {
    true => work(connection)?,
    false => in_transaction(connection, work)?,
  };
  if outcome.uses_version() {
    *counter = version;
  }
  Ok(outcome)
}

/// Whether one statement makes all the changes there are: if it fails, it leaves nothing by itself.
fn changes_once(task: &Task) -> bool {
  match task {
    Task::Write(write) => write.mutations.len() + write.enqueues.len() <= 1,
    Task::Read(_) => true,
    _ => false,
  }
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

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
  connection.prepare_cached(statement)?.execute([])?;
  Ok(())
}

/// The statements of atomic writes, looked up once for a group.
struct Statements<'c> {
  connection: &'c Connection,
  version_of: Option<CachedStatement<'c>>,
  value_of: Option<CachedStatement<'c>>,
  set: Option<CachedStatement<'c>>,
  delete: Option<CachedStatement<'c>>,
}

impl<'c> Statements<'c> {
  fn new(connection: &'c Connection) -> Self {
    Self {
      connection,
      version_of: None,
      value_of: None,
      set: None,
      delete: None,
    }
  }
}

/// The statement in `slot`, which is put there if it is empty.
fn statement<'s, 'c>(
  slot: &'s mut Option<CachedStatement<'c>>,
  connection: &'c Connection,
  sql: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'c>> {
  match slot {
    Some(statement) => Ok(statement),
    None => Ok(slot.insert(connection.prepare_cached(sql)?)),
  }
}

fn execute(
  statements: &mut Statements<'_>,
  task: &Task,
  version: i64,
  now_ms: u64,
) -> Result<Outcome, WriteError> {
  let connection = statements.connection;
  match task {
    Task::Write(write) => apply(statements, write, version, now_ms).map(Outcome::Commit),
    Task::Read(ranges) => {
      let entries = reader::snapshot_read(connection, ranges, now_ms, &Budget::UNLIMITED)?;
      Ok(Outcome::Read(entries))
    }
    Task::Take { max } => queue::take(connection, *max, now_ms),
    Task::Finish { running, delivered } => {
      let mut commit = Commit {
        statements,
        version,
        now_ms,
      };
      queue::finish(connection, running, *delivered, now_ms, |key, payload| {
        commit.set_stored(key, payload, 1, NEVER)
      })
    }
    Task::PutBack(messages) => queue::put_back(connection, messages, now_ms),
    Task::Heartbeat(messages) => queue::beat(connection, messages, now_ms),
    Task::NoticeLost => queue::lost(connection, now_ms).map(Outcome::Lost),
    Task::Reclaim { noticed, asked } => {
      queue::reclaim(connection, noticed, asked.elapsed(), now_ms)
    }
    Task::Sweep => sweep::sweep(connection, now_ms),
  }
}

fn apply(
  statements: &mut Statements<'_>,
  write: &AtomicWrite,
  version: i64,
  now_ms: u64,
) -> Result<CommitOutcome, WriteError> {
  for check in &write.checks {
    let select = statement(
      &mut statements.version_of,
      statements.connection,
      VERSION_OF,
    )?;
    let stored: Option<i64> = select
      .query_row(params![check.key, now_ms as i64], |row| row.get(0))
      .optional()?;
    if stored.map(|version| Versionstamp::from_version(version as u64)) != check.versionstamp {
      return Ok(CommitOutcome::CheckFailed);
    }
  }
  let mut commit = Commit {
    statements,
    version,
    now_ms,
  };
  for mutation in &write.mutations {
    commit.mutate(mutation)?;
  }
  for (index, enqueue) in write.enqueues.iter().enumerate() {
    // No two commits have the same version. Messages due at the same time are in the order of commits.
    let id = format!("{version:016x}-{index:04x}");
    queue::add(commit.statements.connection, enqueue, &id)?;
  }
  Ok(CommitOutcome::Committed(commit.versionstamp()))
}

/// One atomic write at work.
struct Commit<'a, 'c> {
  statements: &'a mut Statements<'c>,
  version: i64,
  now_ms: u64,
}

impl Commit<'_, '_> {
  fn versionstamp(&self) -> Versionstamp {
    Versionstamp::from_version(self.version as u64)
  }

  fn mutate(&mut self, mutation: &Mutation) -> Result<(), WriteError> {
    let key = &mutation.key;
    // An expiry beyond what SQLite's integers hold is as good as never.
    let expiry = mutation
      .expire_at
      .map_or(NEVER, |ms| i64::try_from(ms).unwrap_or(NEVER));
    match &mutation.kind {
      MutationKind::Set(value) => self.set(key, value, expiry),
      MutationKind::SetWithVersionstamp(value) => {
        let key = with_versionstamp(key, self.versionstamp());
        self.set(&key, value, expiry)
      }
      MutationKind::Delete => {
        let statements = &mut *self.statements;
        statement(&mut statements.delete, statements.connection, DELETE)?.execute([key])?;
        Ok(())
      }
      MutationKind::Sum(Value::U64(operand)) => {
        self.combine_u64(key, "sum", *operand, u64::wrapping_add)
      }
      MutationKind::Sum(operand) => self.sum(key, operand),
      MutationKind::Min(operand) => {
        self.combine_u64(key, "min", u64_operand("min", operand)?, u64::min)
      }
      MutationKind::Max(operand) => {
        self.combine_u64(key, "max", u64_operand("max", operand)?, u64::max)
      }
    }
  }

  fn set(&mut self, key: &[u8], value: &Value, expiry: i64) -> Result<(), WriteError> {
    value.with_stored(|bytes, encoding| self.set_stored(key, bytes, encoding, expiry))
  }

  fn set_stored(
    &mut self,
    key: &[u8],
    bytes: &[u8],
    encoding: i64,
    expiry: i64,
  ) -> Result<(), WriteError> {
    let statements = &mut *self.statements;
    let set = statement(&mut statements.set, statements.connection, SET)?;
    set.execute(params![key, bytes, encoding, self.version, expiry])?;
    Ok(())
  }

  fn get(&mut self, key: &[u8]) -> Result<Option<Value>, WriteError> {
    let statements = &mut *self.statements;
    statement(&mut statements.value_of, statements.connection, VALUE_OF)?
      .query_row(params![key, self.now_ms as i64], |row| {
        let bytes = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        Ok(Value::from_stored(bytes, row.get(1)?))
      })
      .optional()?
      .map(|value| match value.as_ref().decode_error() {
        Some(error) => Err(WriteError::Refused(error.into())),
        None => Ok(value),
      })
      .transpose()
  }

  fn combine_u64(
    &mut self,
    key: &[u8],
    name: &str,
    operand: u64,
    combine: impl FnOnce(u64, u64) -> u64,
  ) -> Result<(), WriteError> {
    let combined = match self.get(key)? {
      None => operand,
      Some(Value::U64(stored)) => combine(stored, operand),
      Some(_) => {
        return refuse(format!(
          "Failed to perform '{name}' mutation on a non-U64 value in the database"
        ));
      }
    };
    self.set(key, &Value::U64(combined), NEVER)
  }

  fn sum(&mut self, key: &[u8], operand: &Value) -> Result<(), WriteError> {
    let Some(operand) = Number::from_value(operand) else {
      return refuse("Some of the parameters are not valid V8 values".into());
    };
    let sum = match self.get(key)? {
      None => operand,
      Some(stored) => match Number::from_value(&stored) {
        Some(stored) => stored.plus(operand).map_err(WriteError::Refused)?,
        None => return refuse("unsupported value type".into()),
      },
    };
    self.set(key, &sum.into_value(), NEVER)
  }
}

/// A key followed by one more part: the versionstamp, as a string.
pub(super) fn with_versionstamp(key: &[u8], versionstamp: Versionstamp) -> Vec<u8> {
  let mut encoder = crate::key::KeyEncoder::with_capacity(22);
  encoder.push_string(&versionstamp.to_string());
  [key, &encoder.finish()].concat()
}

fn u64_operand(name: &str, operand: &Value) -> Result<u64, WriteError> {
  match operand {
    Value::U64(operand) => Ok(*operand),
    _ => refuse(format!(
      "Failed to perform '{name}' mutation on a non-U64 operand"
    )),
  }
}

fn refuse<T>(message: String) -> Result<T, WriteError> {
  Err(WriteError::Refused(StoreError::TypeMismatch(message)))
}
