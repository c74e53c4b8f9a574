//! The ids of writes that were committed lately, in a table of this store's own, which Deno does not know and leaves
//! alone. A file in which no write has had an id has no such table.

use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::{WRITE_ID_TTL, WriteId};
use crate::sqlite::error::WriteError;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS kv_write_ids (
  id BLOB PRIMARY KEY, version INTEGER NOT NULL, forget_at INTEGER NOT NULL) WITHOUT ROWID";
const CREATE_INDEX: &str =
  "CREATE INDEX IF NOT EXISTS kv_write_ids_forget_at ON kv_write_ids (forget_at)";
const FIND: &str = "SELECT version FROM kv_write_ids WHERE id = ?1 AND forget_at > ?2";
const ADD: &str = "REPLACE INTO kv_write_ids (id, version, forget_at) VALUES (?1, ?2, ?3)";
/// More than a write adds, so that the table shrinks to what is to be remembered.
const FORGET: &str = "DELETE FROM kv_write_ids WHERE id IN
  (SELECT id FROM kv_write_ids WHERE forget_at <= ?1 ORDER BY forget_at LIMIT 4)";

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

/// Remembers that the write with this id was committed, and forgets some whose time has come.
pub(super) fn remember(
  connection: &Connection,
  id: WriteId,
  version: i64,
  now_ms: u64,
) -> Result<(), WriteError> {
  connection
    .prepare_cached(FORGET)?
    .execute([now_ms as i64])?;
  let forget_at = now_ms as i64 + WRITE_ID_TTL.as_millis() as i64;
  connection
    .prepare_cached(ADD)?
    .execute(params![id.0, version, forget_at])?;
  Ok(())
}
