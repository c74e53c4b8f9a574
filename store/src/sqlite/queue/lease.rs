use std::collections::HashSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::row::{Row, bytes, stored_ms, text};
use crate::sqlite::error::WriteError;

const GET: &str = "SELECT data, backoff_schedule, keys_if_undelivered FROM queue_running
  WHERE deadline = ?1 AND id = ?2";
const EXISTS: &str = "SELECT 1 FROM queue_running WHERE deadline = ?1 AND id = ?2";
const REMOVE: &str = "DELETE FROM queue_running WHERE deadline = ?1 AND id = ?2";
const DEADLINE_OF: &str =
  "SELECT deadline FROM queue_running WHERE id = ?1 AND typeof(deadline) = 'integer'";
const ALL: &str = "SELECT deadline, id FROM queue_running
  WHERE typeof(deadline) = 'integer' AND typeof(id) = 'text'";
const RENEW: &str = "UPDATE queue_running SET deadline = ?3 WHERE deadline = ?1 AND id = ?2";

/// How long a lease lasts unless it is renewed. Deno's files have the same.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// When a lease ends that begins now.
pub(super) fn deadline(now_ms: u64, lease: Duration) -> u64 {
  now_ms.saturating_add(lease.as_millis().try_into().unwrap_or(u64::MAX))
}

/// A message that is being delivered, and until when its process may go on without renewing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
  /// The message's.
  pub(crate) id: String,
  /// In UTC milliseconds.
  pub(crate) deadline: u64,
}

/// Renews the leases of this process's deliveries, for as long as `lease`. Returns those that this process still holds.
pub(crate) fn renew(
  connection: &Connection,
  leases: &[Lease],
  lease: Duration,
  now_ms: u64,
) -> Result<Vec<Lease>, WriteError> {
  let deadline = deadline(now_ms, lease);
  let mut renew = connection.prepare_cached(RENEW)?;
  let mut renewed = Vec::with_capacity(leases.len());
  for lease in leases {
    if let Some(stored) = stored_deadline(connection, lease)? {
      renew.execute(params![stored, lease.id, stored_ms(deadline)])?;
      let id = lease.id.clone();
      renewed.push(Lease { id, deadline });
    }
  }
  Ok(renewed)
}

/// A living process renews its leases in time, so none has less than this left.
const LIVING: Duration = Duration::from_millis(3_400);

/// Takes over those of these messages that nobody is at work on: their lease was left for longer than one lasts, or
/// nobody has renewed it in time. Returns them with their new leases. Of a process that has died just now, the leases
/// look alive for some 1.6 seconds more.
pub(crate) fn adopt(
  connection: &Connection,
  ids: &[String],
  now_ms: u64,
) -> Result<Vec<Lease>, WriteError> {
  let living = deadline(now_ms, LIVING)..=deadline(now_ms, LEASE);
  let wanted: HashSet<&str> = ids.iter().map(String::as_str).collect();
  let left = connection
    .prepare_cached(ALL)?
    .query_map([], |row| {
      let deadline: i64 = row.get(0)?;
      let id: String = row.get(1)?;
      Ok(Lease {
        id,
        deadline: deadline.try_into().unwrap_or(0),
      })
    })?
    .filter(|lease| match lease {
      Ok(lease) => wanted.contains(lease.id.as_str()) && !living.contains(&lease.deadline),
      Err(_) => true,
    })
    .collect::<Result<Vec<_>, _>>()?;
  renew(connection, &left, LEASE, now_ms)
}

/// Takes a message out of `queue_running`. `None`: it is not there any more, since the lease has expired and another
/// process has reclaimed it.
pub(super) fn take_out(connection: &Connection, lease: &Lease) -> Result<Option<Row>, WriteError> {
  let Some(deadline) = stored_deadline(connection, lease)? else {
    return Ok(None);
  };
  let row = connection
    .prepare_cached(GET)?
    .query_row(params![deadline, lease.id], |row| {
      Ok(Row {
        payload: bytes(row, 0)?,
        backoff_schedule: text(row, 1)?,
        keys_if_undelivered: text(row, 2)?,
      })
    })?;
  connection
    .prepare_cached(REMOVE)?
    .execute(params![deadline, lease.id])?;
  Ok(Some(row))
}

/// The deadline that a message has in the file. `None`: it is not leased any more.
fn stored_deadline(connection: &Connection, lease: &Lease) -> rusqlite::Result<Option<i64>> {
  let expected = stored_ms(lease.deadline);
  if connection
    .prepare_cached(EXISTS)?
    .exists(params![expected, lease.id])?
  {
    return Ok(Some(expected));
  }
  // It may have been renewed in between. Without its deadline, a message is found by a scan of the table.
  connection
    .prepare_cached(DEADLINE_OF)?
    .query_row([&lease.id], |row| row.get(0))
    .optional()
}
