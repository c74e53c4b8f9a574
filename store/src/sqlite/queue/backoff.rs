//! What becomes of a message after a delivery: it is removed, waits for the next interval of its backoff schedule, is
//! given up, or goes back untried.

use rusqlite::{Connection, params};

use super::ADD;
use super::lease::{Lease, take_out};
use super::row::{Row, json, parse, stored_ms};
use crate::sqlite::error::WriteError;

/// What became of messages that were leased.
#[derive(Debug, Default)]
pub(crate) struct Moved {
  /// Keys that messages which were given up have been written to.
  pub(crate) undelivered: Vec<Vec<u8>>,
  /// When the first of those that went back to the queue is due.
  pub(crate) due_at: Option<u64>,
}

/// Ends a delivery. A message that was not delivered goes back to the queue for the next interval of its backoff
/// schedule; after the last, `give_up` stores its payload under each of its keys.
pub(crate) fn end_delivery(
  connection: &Connection,
  lease: &Lease,
  delivered: bool,
  now_ms: u64,
  mut give_up: impl FnMut(&[u8], &[u8]) -> Result<(), WriteError>,
) -> Result<Moved, WriteError> {
  let Some(row) = take_out(connection, lease)? else {
    return Ok(Moved::default());
  };
  if delivered {
    return Ok(Moved::default());
  }
  let schedule: Option<Vec<u64>> = parse(&row.backoff_schedule);
  if let Some((interval, rest)) = schedule.unwrap_or_default().split_first() {
    let due_at = now_ms.saturating_add(*interval);
    put_back(connection, &lease.id, due_at, &row, &json(rest)?)?;
    return Ok(Moved {
      undelivered: Vec::new(),
      due_at: Some(due_at),
    });
  }
  let undelivered: Vec<Vec<u8>> = parse(&row.keys_if_undelivered);
  for key in &undelivered {
    give_up(key, &row.payload)?;
  }
  Ok(Moved {
    undelivered,
    due_at: None,
  })
}

/// Puts messages whose delivery was not tried back to where they were, with their whole backoff schedule.
pub(crate) fn release(
  connection: &Connection,
  leases: &[Lease],
  now_ms: u64,
) -> Result<Moved, WriteError> {
  let mut moved = Moved::default();
  for lease in leases {
    if let Some(row) = take_out(connection, lease)? {
      put_back(connection, &lease.id, now_ms, &row, &row.backoff_schedule)?;
      moved.due_at = Some(now_ms);
    }
  }
  Ok(moved)
}

fn put_back(
  connection: &Connection,
  id: &str,
  due_at: u64,
  row: &Row,
  backoff_schedule: &str,
) -> Result<(), WriteError> {
  connection.prepare_cached(ADD)?.execute(params![
    stored_ms(due_at),
    id,
    row.payload,
    backoff_schedule,
    row.keys_if_undelivered,
  ])?;
  Ok(())
}
