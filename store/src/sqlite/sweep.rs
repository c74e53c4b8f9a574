//! Removing rows that have expired. Reads don't see them; this gives their space back.

use rusqlite::{Connection, params};

use super::commit::WriteError;
use super::queue::first;
use super::task::Outcome;

const EXPIRED: &str = "SELECT k FROM kv WHERE expiration_ms >= 0 AND expiration_ms <= ?1
  ORDER BY expiration_ms LIMIT ?2";
const REMOVE: &str = "DELETE FROM kv WHERE k = ?1";
// Text, in a damaged file, sorts behind all numbers.
pub(super) const NEXT_EXPIRY: &str = "SELECT expiration_ms FROM kv WHERE expiration_ms >= 0
  AND expiration_ms <= 9223372036854775807
  ORDER BY expiration_ms LIMIT 1";

/// Rows for one transaction: they may lie on as many pages, which take a millisecond or two. Who wants
/// to write waits no longer, however many rows expire at once.
const ROWS: i64 = 200;

/// Removes some of the rows that have expired at `now_ms`.
pub(super) fn sweep(connection: &Connection, now_ms: u64) -> Result<Outcome, WriteError> {
  let keys = connection
    .prepare_cached(EXPIRED)?
    .query_map(params![now_ms as i64, ROWS], |row| row.get(0))?
    .collect::<Result<Vec<Vec<u8>>, _>>()?;
  let mut remove = connection.prepare_cached(REMOVE)?;
  for key in &keys {
    remove.execute([key])?;
  }
  Ok(Outcome::Swept {
    keys,
    next: first(connection, NEXT_EXPIRY)?,
  })
}
