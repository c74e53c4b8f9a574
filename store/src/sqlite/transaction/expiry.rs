//! Removes rows that have expired, which reads don't see, and forgets ids of writes. That frees their space, and tells
//! watchers.

use rusqlite::{Connection, params};

use super::write_ids;
use crate::sqlite::error::WriteError;
use crate::sqlite::time_column::first;

const EXPIRED: &str = "SELECT k FROM kv WHERE expiration_ms >= 0 AND expiration_ms <= ?1
  ORDER BY expiration_ms LIMIT ?2";
const REMOVE: &str = "DELETE FROM kv WHERE k = ?1";
// Text, in a damaged file, sorts behind all numbers.
const NEXT_EXPIRY: &str = "SELECT expiration_ms FROM kv WHERE expiration_ms >= 0
  AND expiration_ms <= 9223372036854775807
  ORDER BY expiration_ms LIMIT 1";

/// Rows for one transaction: they may lie on as many pages, which take a millisecond or two. A write waits no longer,
/// however many rows expire at once.
const ROWS: i64 = 200;

/// Rows that were removed.
#[derive(Debug)]
pub(crate) struct Removed {
  pub(crate) keys: Vec<Vec<u8>>,
  /// When the next row expires.
  pub(crate) next_expiry: Option<u64>,
}

/// Removes some of the rows that have expired at `now_ms`.
pub(super) fn remove_expired(connection: &Connection, now_ms: u64) -> Result<Removed, WriteError> {
  let keys = connection
    .prepare_cached(EXPIRED)?
    .query_map(params![now_ms as i64, ROWS], |row| row.get(0))?
    .collect::<Result<Vec<Vec<u8>>, _>>()?;
  let mut remove = connection.prepare_cached(REMOVE)?;
  for key in &keys {
    remove.execute([key])?;
  }
  write_ids::forget(connection, now_ms)?;
  Ok(Removed {
    keys,
    next_expiry: next_expiry(connection)?,
  })
}

/// When the next row expires, or the next id of a write is to be forgotten, in UTC milliseconds.
pub(crate) fn next_expiry(connection: &Connection) -> rusqlite::Result<Option<u64>> {
  let times = [
    first(connection, NEXT_EXPIRY)?,
    write_ids::next(connection)?,
  ];
  Ok(times.into_iter().flatten().min())
}
