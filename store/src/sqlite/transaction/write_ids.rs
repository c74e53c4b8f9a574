//! The ids of writes that were committed lately, in a table of this store's own, which Deno does not know and leaves
//! alone. A file in which no write has had an id has no such table.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::engine::{WRITE_ID_TTL, WriteId};
use crate::sqlite::error::WriteError;
use crate::sqlite::time_column::first;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS kv_write_ids (
  id BLOB PRIMARY KEY, version INTEGER NOT NULL, forget_at INTEGER NOT NULL) WITHOUT ROWID";
const CREATE_INDEX: &str =
  "CREATE INDEX IF NOT EXISTS kv_write_ids_forget_at ON kv_write_ids (forget_at)";
const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kv_write_ids'";
const FIND: &str = "SELECT version FROM kv_write_ids WHERE id = ?1 AND forget_at > ?2";
const ADD: &str = "REPLACE INTO kv_write_ids (id, version, forget_at) VALUES (?1, ?2, ?3)";
const FORGET: &str = "DELETE FROM kv_write_ids WHERE id IN
  (SELECT id FROM kv_write_ids WHERE forget_at <= ?1 ORDER BY forget_at LIMIT ?2)";
const NEXT: &str = "SELECT forget_at FROM kv_write_ids ORDER BY forget_at LIMIT 1";

/// Ids that one transaction forgets.
const ROWS: i64 = 1_000;

/// The version under which the write with this id was committed, if it was.
pub(super) fn committed_as(
  connection: &Connection,
  id: WriteId,
  now_ms: u64,
) -> Result<Option<u64>, WriteError> {
  // Where the table exists, this does nothing, within a microsecond.
  for create in [CREATE, CREATE_INDEX] {
    connection.prepare_cached(create)?.execute([])?;
  }
  let version: Option<i64> = connection
    .prepare_cached(FIND)?
    .query_row(params![id.0, now_ms as i64], |row| row.get(0))
    .optional()?;
  Ok(version.map(|version| version as u64))
}

/// Remembers that the write with this id was committed.
pub(super) fn remember(
  connection: &Connection,
  id: WriteId,
  version: i64,
  now_ms: u64,
) -> Result<(), WriteError> {
  let forget_at = now_ms as i64 + WRITE_ID_TTL.as_millis() as i64;
  connection
    .prepare_cached(ADD)?
    .execute(params![id.0, version, forget_at])?;
  Ok(())
}

/// Forgets some of the ids whose time has come.
pub(super) fn forget(connection: &Connection, now_ms: u64) -> Result<(), WriteError> {
  if let Some(mut forget) = if_there(connection, FORGET)? {
    forget.execute([now_ms as i64, ROWS])?;
  }
  Ok(())
}

/// When the next id is to be forgotten, in UTC milliseconds.
pub(super) fn next(connection: &Connection) -> rusqlite::Result<Option<u64>> {
  match if_there(connection, NEXT)? {
    Some(_) => first(connection, NEXT),
    None => Ok(None),
  }
}

/// A statement on the table, if that exists.
fn if_there<'c>(
  connection: &'c Connection,
  sql: &str,
) -> rusqlite::Result<Option<CachedStatement<'c>>> {
  if !connection.prepare_cached(EXISTS)?.exists([])? {
    return Ok(None);
  }
  connection.prepare_cached(sql).map(Some)
}
