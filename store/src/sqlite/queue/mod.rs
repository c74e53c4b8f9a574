//! The queue's tables: messages that wait in `queue`, by the time they are due, and messages that are leased to a
//! process in `queue_running`, by the deadline of the lease.
//!
//! A process renews the leases of its deliveries; messages with an expired lease are reclaimed. What a delivery that
//! failed does to a message, its backoff, is in [`end_delivery`].

mod lease;
mod reclaim;
mod row;

use rusqlite::{Connection, params};

pub(crate) use lease::{Lease, renew};
pub(crate) use reclaim::{Reclaimed, expired, has_expired, reclaim};

use super::error::WriteError;
use super::time_column::first;
use crate::engine::Enqueue;
use lease::{LEASE_MS, take_out};
use row::{Row, bytes, json, parse, stored_ms, text};

// A row whose time or id is of another type than the table declares was written by nobody who knows the
// format. It is passed over wherever the first row is looked for, or it would be the first for ever. What
// else is wrong with a row is a fault of its own message, which is delivered, fails, and is given up.

const ADD: &str = "INSERT INTO queue (ts, id, data, backoff_schedule, keys_if_undelivered)
  VALUES (?1, ?2, ?3, ?4, ?5)";
const DUE: &str = "SELECT ts, id, data, backoff_schedule, keys_if_undelivered FROM queue
  WHERE ts <= ?1 AND typeof(ts) = 'integer' AND typeof(id) = 'text' ORDER BY ts, id LIMIT ?2";
const NEXT_DUE: &str = "SELECT ts FROM queue
  WHERE typeof(ts) = 'integer' AND typeof(id) = 'text' ORDER BY ts LIMIT 1";
const REMOVE: &str = "DELETE FROM queue WHERE ts = ?1 AND id = ?2";
const ADD_RUNNING: &str =
  "INSERT INTO queue_running (deadline, id, data, backoff_schedule, keys_if_undelivered)
  VALUES (?1, ?2, ?3, ?4, ?5)";

/// A message that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
  pub(crate) lease: Lease,
  pub(crate) payload: Vec<u8>,
}

/// Messages that were taken.
#[derive(Debug)]
pub(crate) struct Batch {
  pub(crate) messages: Vec<Taken>,
  /// When the next message is due.
  pub(crate) next_due: Option<u64>,
}

/// What became of messages that were leased.
#[derive(Debug, Default)]
pub(crate) struct Moved {
  /// Keys that messages which were given up have been written to.
  pub(crate) undelivered: Vec<Vec<u8>>,
  /// When the first of those that went back to the queue is due.
  pub(crate) due_at: Option<u64>,
}

/// Puts a message into the queue. `id` is one that no other message has.
pub(crate) fn add(connection: &Connection, enqueue: &Enqueue, id: &str) -> Result<(), WriteError> {
  let backoff_schedule = json(&enqueue.backoff_schedule)?;
  let keys_if_undelivered = json(&enqueue.keys_if_undelivered)?;
  connection.prepare_cached(ADD)?.execute(params![
    stored_ms(enqueue.due_at),
    id,
    enqueue.payload,
    backoff_schedule,
    keys_if_undelivered,
  ])?;
  Ok(())
}

/// When the next message is due.
pub(crate) fn next_due(connection: &Connection) -> rusqlite::Result<Option<u64>> {
  first(connection, NEXT_DUE)
}

/// Takes the first messages that are due: they move to the table of leased ones.
pub(crate) fn take(connection: &Connection, max: usize, now_ms: u64) -> Result<Batch, WriteError> {
  let deadline = now_ms + LEASE_MS;
  let rows = connection
    .prepare_cached(DUE)?
    .query_map(params![stored_ms(now_ms), max as i64], |row| {
      let due_at: i64 = row.get(0)?;
      let id: String = row.get(1)?;
      Ok((due_at, id, bytes(row, 2)?, text(row, 3)?, text(row, 4)?))
    })?
    .collect::<Result<Vec<(i64, String, Vec<u8>, String, String)>, _>>()?;
  let mut messages = Vec::with_capacity(rows.len());
  let mut remove = connection.prepare_cached(REMOVE)?;
  let mut add_running = connection.prepare_cached(ADD_RUNNING)?;
  for (due_at, id, payload, backoff_schedule, keys_if_undelivered) in rows {
    remove.execute(params![due_at, id])?;
    let values = params![
      stored_ms(deadline),
      id,
      payload,
      backoff_schedule,
      keys_if_undelivered
    ];
    add_running.execute(values)?;
    let lease = Lease { id, deadline };
    messages.push(Taken { lease, payload });
  }
  Ok(Batch {
    messages,
    next_due: next_due(connection)?,
  })
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
