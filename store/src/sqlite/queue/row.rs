//! Columns of the queue's tables, also of damaged files.

use rusqlite::types::ValueRef;

use crate::engine::{ErrorKind, StoreError};
use crate::sqlite::error::WriteError;

/// A row of `queue_running`.
pub(super) struct Row {
  pub(super) payload: Vec<u8>,
  pub(super) backoff_schedule: String,
  pub(super) keys_if_undelivered: String,
}

/// A time as the tables have it. Beyond the end of SQLite's integers is as good as at their end.
pub(super) fn stored_ms(ms: u64) -> i64 {
  ms.try_into().unwrap_or(i64::MAX)
}

/// The bytes in a column. A number, in a damaged file, counts as none.
pub(super) fn bytes(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
  Ok(match row.get_ref(column)? {
    ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.to_vec(),
    _ => Vec::new(),
  })
}

/// JSON text, which may be in a column of text or of bytes.
pub(super) fn text(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<String> {
  Ok(String::from_utf8_lossy(&bytes(row, column)?).into_owned())
}

pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, WriteError> {
  serde_json::to_string(value)
    .map_err(|error| WriteError::Refused(StoreError::new(ErrorKind::Other, error.to_string())))
}

/// Reads JSON text. A list that can't be read, in a damaged file, counts as empty: an error would keep the message
/// going round for ever.
pub(super) fn parse<'a, T: serde::Deserialize<'a> + Default>(json: &'a str) -> T {
  serde_json::from_str(json).unwrap_or_default()
}
