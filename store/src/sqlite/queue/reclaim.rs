//! Messages whose process has died go back to the queue: their leases have expired.

use std::time::Duration;

use rusqlite::Connection;

use super::backoff::{Moved, release};
use super::lease::Lease;
use super::row::stored_ms;
use crate::sqlite::error::WriteError;
use crate::sqlite::time_column::first;

const EXPIRED: &str = "SELECT deadline, id FROM queue_running
  WHERE (deadline <= ?1 OR deadline > ?2) AND typeof(deadline) = 'integer' AND typeof(id) = 'text'
  ORDER BY deadline LIMIT 100";
const FIRST_DEADLINE: &str = "SELECT deadline FROM queue_running
  WHERE typeof(deadline) = 'integer' AND typeof(id) = 'text' ORDER BY deadline LIMIT 1";
const LAST_DEADLINE: &str = "SELECT deadline FROM queue_running
  WHERE typeof(deadline) = 'integer' AND typeof(id) = 'text' ORDER BY deadline DESC LIMIT 1";

/// A process that reclaims messages waits no longer than this for the write lock, or gives up its turn.
const LOCK_PATIENCE: Duration = Duration::from_millis(100);
/// A deadline this far away was written before the clock was set back: no living process would write it.
const IMPOSSIBLE_MS: u64 = 60_000;

/// Whether there are messages with an expired lease.
pub(crate) fn has_expired(connection: &Connection, now_ms: u64) -> rusqlite::Result<bool> {
  let Some(first_deadline) = first(connection, FIRST_DEADLINE)? else {
    return Ok(false);
  };
  let last = first(connection, LAST_DEADLINE)?;
  Ok(first_deadline <= now_ms || last.is_some_and(|last| last > now_ms + IMPOSSIBLE_MS))
}

/// The messages with an expired lease.
pub(crate) fn expired(connection: &Connection, now_ms: u64) -> Result<Vec<Lease>, WriteError> {
  let expired = connection
    .prepare_cached(EXPIRED)?
    .query_map([now_ms, now_ms + IMPOSSIBLE_MS].map(stored_ms), |row| {
      let deadline: i64 = row.get(0)?;
      Ok(Lease {
        id: row.get(1)?,
        deadline: deadline.try_into().unwrap_or(0),
      })
    })?
    .collect::<Result<Vec<_>, _>>()?;
  Ok(expired)
}

/// What came of an attempt to reclaim messages.
#[derive(Debug)]
pub(crate) enum Reclaimed {
  Moved(Moved),
  /// The write lock was held for too long. These leases have expired; their owners get the time to renew them.
  TooEarly(Vec<Lease>),
}

/// Puts messages back into the queue whose lease had expired when they were `noticed`, and was not renewed since. That
/// a process was killed is no failed delivery: the backoff schedule stays as it is.
///
/// If the write lock was not to be had for `waited`, a living owner may have waited for it as well, to renew its
/// lease, and has not had its turn. Then nothing is done, and the wait begins anew.
pub(crate) fn reclaim(
  connection: &Connection,
  noticed: &[Lease],
  waited: Duration,
  now_ms: u64,
) -> Result<Reclaimed, WriteError> {
  let mut expired = expired(connection, now_ms)?;
  if waited > LOCK_PATIENCE {
    return Ok(Reclaimed::TooEarly(expired));
  }
  expired.retain(|lease| noticed.contains(lease));
  release(connection, &expired, now_ms).map(Reclaimed::Moved)
}
