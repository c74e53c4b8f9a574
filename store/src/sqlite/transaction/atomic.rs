//! Atomic writes as changes of rows.

use rusqlite::{OptionalExtension, params};

use super::statements::{Statements, statement};
use super::write_ids;
use crate::engine::{AtomicWrite, CommitOutcome, Mutation, MutationKind, number};
use crate::sqlite::error::WriteError;
use crate::sqlite::queue;
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

/// Stored as the expiry of what never expires.
const NEVER: i64 = -1;

/// Applies an atomic write, if its checks hold.
pub(super) fn apply(
  statements: &mut Statements<'_>,
  write: &AtomicWrite,
  version: i64,
  now_ms: u64,
) -> Result<CommitOutcome, WriteError> {
  if let Some(id) = write.id
    && let Some(version) = write_ids::committed_as(statements.connection, id, now_ms)?
  {
    return Ok(CommitOutcome::Committed(Versionstamp::from_version(
      version,
    )));
  }
  let mut failed = Vec::new();
  for (index, check) in (0..).zip(&write.checks) {
    let select = statement(
      &mut statements.version_of,
      statements.connection,
      VERSION_OF,
    )?;
    let stored: Option<i64> = select
      .query_row(params![check.key, now_ms as i64], |row| row.get(0))
      .optional()?;
    if stored.map(|version| Versionstamp::from_version(version as u64)) != check.versionstamp {
      failed.push(index);
    }
  }
  if !failed.is_empty() {
    return Ok(CommitOutcome::CheckFailed(failed));
  }
  let mut commit = AtomicCommit::new(statements, version, now_ms);
  for mutation in &write.mutations {
    commit.mutate(mutation)?;
  }
  for (index, enqueue) in write.enqueues.iter().enumerate() {
    // No two commits have the same version. Messages due at the same time are in the order of commits.
    let id = format!("{version:016x}-{index:04x}");
    queue::add(commit.statements.connection, enqueue, &id)?;
  }
  if let Some(id) = write.id {
    write_ids::remember(commit.statements.connection, id, version, now_ms)?;
  }
  Ok(CommitOutcome::Committed(commit.versionstamp()))
}

/// One atomic write at work.
pub(super) struct AtomicCommit<'a, 'c> {
  statements: &'a mut Statements<'c>,
  version: i64,
  now_ms: u64,
}

impl<'a, 'c> AtomicCommit<'a, 'c> {
  pub(super) fn new(statements: &'a mut Statements<'c>, version: i64, now_ms: u64) -> Self {
    Self {
      statements,
      version,
      now_ms,
    }
  }

  /// Stores the payload of a message that is given up.
  pub(super) fn set_undelivered(&mut self, key: &[u8], payload: &[u8]) -> Result<(), WriteError> {
    // Payloads are structured clones.
    self.set_stored(key, payload, 1, NEVER)
  }

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
        let key = self.versionstamp().appended_to(key);
        self.set(&key, value, expiry)
      }
      MutationKind::Delete => {
        let statements = &mut *self.statements;
        statement(&mut statements.delete, statements.connection, DELETE)?.execute([key])?;
        Ok(())
      }
      MutationKind::Sum(_) | MutationKind::Min(_) | MutationKind::Max(_) => {
        let stored = self.get(key)?;
        let combined = number::combine(&mutation.kind, stored).map_err(WriteError::Refused)?;
        self.set(key, &combined, NEVER)
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
}
