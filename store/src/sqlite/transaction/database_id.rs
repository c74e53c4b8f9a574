//! The database's own id, in a table of this store's own, which Deno does not know and leaves alone.

use rusqlite::{Connection, OptionalExtension};

use crate::sqlite::error::WriteError;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS kv_database_id (
  k INTEGER PRIMARY KEY, id BLOB NOT NULL)";
const MAKE: &str = "INSERT OR IGNORE INTO kv_database_id (k, id) VALUES (0, randomblob(16))";
const READ: &str = "SELECT id FROM kv_database_id WHERE k = 0";
const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kv_database_id'";

/// The id, which is made if there is none.
pub(super) fn read_or_make(connection: &Connection) -> Result<[u8; 16], WriteError> {
  connection.execute(CREATE, [])?;
  connection.execute(MAKE, [])?;
  Ok(connection.query_row(READ, [], |row| row.get(0))?)
}

/// The id, if there is one.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<[u8; 16]>> {
  if connection
    .query_row(EXISTS, [], |_| Ok(()))
    .optional()?
    .is_none()
  {
    return Ok(None);
  }
  connection.query_row(READ, [], |row| row.get(0)).optional()
}
