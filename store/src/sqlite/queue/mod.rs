//! The queue's tables: messages that wait in `queue`, by the time they are due, and messages that are leased to a
//! process in `queue_running`, by the deadline of the lease.
//!
//! A process renews the leases of its deliveries; messages with an expired lease are reclaimed. What a delivery that
//! failed does to a message is in `backoff`.

mod backoff;
mod lease;
mod reclaim;
mod row;
mod usage;

use rusqlite::{Connection, params};

pub(crate) use backoff::{Moved, end_delivery, release};
pub(crate) use lease::{LEASE, Lease, adopt, renew};
pub(crate) use reclaim::{Reclaimed, expired, has_expired, reclaim};
pub(crate) use usage::count;

use super::error::WriteError;
use super::time_column::first;
use crate::engine::Enqueue;
use row::{bytes, json, stored_ms, text};

// A row whose time or id is of another type than the table declares was written by nobody who knows the
// format. It is passed over wherever the first row is looked for, or it would be the first for ever. What
// else is wrong with a row is a fault of its own message, which is delivered, fails, and is given up.

/// Also for messages that come back.
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
  let deadline = lease::deadline(now_ms, LEASE);
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
