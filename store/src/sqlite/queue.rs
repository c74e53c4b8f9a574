//! The queue's tables: messages that wait in `queue`, by the time they are due, and messages that are
//! being delivered in `queue_running`, by the time they count as lost.

use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::commit::WriteError;
use super::task::{Outcome, Running, Taken};
use crate::engine::{Enqueue, StoreError};

// A row whose time or id is of another type than the table declares was written by nobody who knows the
// format. It is passed over wherever the first row is looked for, or it would be the first for ever. What
// else is wrong with a row is a fault of its own message, which is delivered, fails, and is given up.

const ADD: &str = "INSERT INTO queue (ts, id, data, backoff_schedule, keys_if_undelivered)
  VALUES (?1, ?2, ?3, ?4, ?5)";
const DUE: &str = "SELECT ts, id, data, backoff_schedule, keys_if_undelivered FROM queue
  WHERE ts <= ?1 AND typeof(ts) = 'integer' AND typeof(id) = 'text' ORDER BY ts, id LIMIT ?2";
pub(super) const NEXT_DUE: &str = "SELECT ts FROM queue
  WHERE typeof(ts) = 'integer' AND typeof(id) = 'text' ORDER BY ts LIMIT 1";
const REMOVE: &str = "DELETE FROM queue WHERE ts = ?1 AND id = ?2";

const ADD_RUNNING: &str =
  "INSERT INTO queue_running (deadline, id, data, backoff_schedule, keys_if_undelivered)
  VALUES (?1, ?2, ?3, ?4, ?5)";
const RUNNING: &str = "SELECT data, backoff_schedule, keys_if_undelivered FROM queue_running
  WHERE deadline = ?1 AND id = ?2";
const IS_RUNNING: &str = "SELECT 1 FROM queue_running WHERE deadline = ?1 AND id = ?2";
const REMOVE_RUNNING: &str = "DELETE FROM queue_running WHERE deadline = ?1 AND id = ?2";
const DEADLINE_OF: &str =
  "SELECT deadline FROM queue_running WHERE id = ?1 AND typeof(deadline) = 'integer'";
const BEAT: &str = "UPDATE queue_running SET deadline = ?3 WHERE deadline = ?1 AND id = ?2";
const LOST: &str = "SELECT deadline, id FROM queue_running
  WHERE (deadline <= ?1 OR deadline > ?2) AND typeof(deadline) = 'integer' AND typeof(id) = 'text'
  ORDER BY deadline LIMIT 100";
const NEXT_DEADLINE: &str = "SELECT deadline FROM queue_running
  WHERE typeof(deadline) = 'integer' AND typeof(id) = 'text' ORDER BY deadline LIMIT 1";
const LAST_DEADLINE: &str = "SELECT deadline FROM queue_running
  WHERE typeof(deadline) = 'integer' AND typeof(id) = 'text' ORDER BY deadline DESC LIMIT 1";

/// How long a delivery lives without a heartbeat, in milliseconds. Deno's files have the same.
const LIFE_MS: u64 = 5_000;
/// A process that takes messages back waits no longer than this for the write lock, or gives up its turn.
const LOCK_PATIENCE: Duration = Duration::from_millis(100);
/// A deadline this far away was written before the clock was set back: nobody who lives would have it.
const NEVER_SO_FAR_MS: u64 = 60_000;

/// Puts a message into the queue. `id` is one that no other message has.
pub(super) fn add(connection: &Connection, enqueue: &Enqueue, id: &str) -> Result<(), WriteError> {
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

/// Hands over the first messages that are due.
pub(super) fn take(
  connection: &Connection,
  max: usize,
  now_ms: u64,
) -> Result<Outcome, WriteError> {
  let deadline = now_ms + LIFE_MS;
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
    let running = Running { id, deadline };
    messages.push(Taken { running, payload });
  }
  Ok(Outcome::Taken {
    messages,
    next_due: first(connection, NEXT_DUE)?,
  })
}

/// A row of `queue_running`.
struct Row {
  payload: Vec<u8>,
  backoff_schedule: String,
  keys_if_undelivered: String,
}

/// Takes a message out of `queue_running`. `None`: it is not there any more, because this process was
/// taken for dead, and somebody else has it.
fn remove_running(connection: &Connection, running: &Running) -> Result<Option<Row>, WriteError> {
  let Some(deadline) = stored_deadline(connection, running)? else {
    return Ok(None);
  };
  let row =
    connection
      .prepare_cached(RUNNING)?
      .query_row(params![deadline, running.id], |row| {
        Ok(Row {
          payload: bytes(row, 0)?,
          backoff_schedule: text(row, 1)?,
          keys_if_undelivered: text(row, 2)?,
        })
      })?;
  connection
    .prepare_cached(REMOVE_RUNNING)?
    .execute(params![deadline, running.id])?;
  Ok(Some(row))
}

fn put_into_queue(
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

const NOTHING_MOVED: Outcome = Outcome::Moved {
  undelivered: Vec::new(),
  due_at: None,
};

/// Ends a delivery. `give_up` stores the payload of a message that has had its last under a key.
pub(super) fn finish(
  connection: &Connection,
  running: &Running,
  delivered: bool,
  now_ms: u64,
  mut give_up: impl FnMut(&[u8], &[u8]) -> Result<(), WriteError>,
) -> Result<Outcome, WriteError> {
  let Some(row) = remove_running(connection, running)? else {
    return Ok(NOTHING_MOVED);
  };
  if delivered {
    return Ok(NOTHING_MOVED);
  }
  let schedule: Option<Vec<u64>> = parse(&row.backoff_schedule);
  if let Some((interval, rest)) = schedule.unwrap_or_default().split_first() {
    let due_at = now_ms.saturating_add(*interval);
    put_into_queue(connection, &running.id, due_at, &row, &json(rest)?)?;
    return Ok(Outcome::Moved {
      undelivered: Vec::new(),
      due_at: Some(due_at),
    });
  }
  let undelivered: Vec<Vec<u8>> = parse(&row.keys_if_undelivered);
  for key in &undelivered {
    give_up(key, &row.payload)?;
  }
  Ok(Outcome::Moved {
    undelivered,
    due_at: None,
  })
}

/// Puts messages that nobody has got back to where they were: nothing was tried, so nothing of their
/// schedule is used up.
pub(super) fn put_back(
  connection: &Connection,
  messages: &[Running],
  now_ms: u64,
) -> Result<Outcome, WriteError> {
  let mut due_at = None;
  for running in messages {
    if let Some(row) = remove_running(connection, running)? {
      put_into_queue(connection, &running.id, now_ms, &row, &row.backoff_schedule)?;
      due_at = Some(now_ms);
    }
  }
  Ok(Outcome::Moved {
    undelivered: Vec::new(),
    due_at,
  })
}

/// Whether there are messages of processes that have died.
pub(super) fn has_lost(connection: &Connection, now_ms: u64) -> rusqlite::Result<bool> {
  let Some(next) = first(connection, NEXT_DEADLINE)? else {
    return Ok(false);
  };
  let last = first(connection, LAST_DEADLINE)?;
  Ok(next <= now_ms || last.is_some_and(|last| last > now_ms + NEVER_SO_FAR_MS))
}

/// The messages whose deadline has passed.
pub(super) fn lost(connection: &Connection, now_ms: u64) -> Result<Vec<Running>, WriteError> {
  let lost = connection
    .prepare_cached(LOST)?
    .query_map([now_ms, now_ms + NEVER_SO_FAR_MS].map(stored_ms), |row| {
      let deadline: i64 = row.get(0)?;
      Ok(Running {
        id: row.get(1)?,
        deadline: deadline.try_into().unwrap_or(0),
      })
    })?
    .collect::<Result<Vec<_>, _>>()?;
  Ok(lost)
}

/// Puts messages of processes that have died back into the queue: those that were `noticed` a while ago, and
/// that have the same deadline still. That a process was killed is not a delivery that failed: the schedule
/// stays as it is.
///
/// If the write lock was not to be had for `waited`, a living owner may have waited for it as well, to renew
/// its deadline, and has not had its turn. Then nothing is done, and the wait begins anew.
pub(super) fn reclaim(
  connection: &Connection,
  noticed: &[Running],
  waited: Duration,
  now_ms: u64,
) -> Result<Outcome, WriteError> {
  let mut lost = lost(connection, now_ms)?;
  if waited > LOCK_PATIENCE {
    return Ok(Outcome::Lost(lost));
  }
  lost.retain(|running| noticed.contains(running));
  put_back(connection, &lost, now_ms)
}

/// Moves the deadlines of this process's deliveries.
pub(super) fn beat(
  connection: &Connection,
  messages: &[Running],
  now_ms: u64,
) -> Result<Outcome, WriteError> {
  let deadline = now_ms + LIFE_MS;
  let mut beat = connection.prepare_cached(BEAT)?;
  let mut renewed = Vec::with_capacity(messages.len());
  for running in messages {
    if let Some(stored) = stored_deadline(connection, running)? {
      beat.execute(params![stored, running.id, stored_ms(deadline)])?;
      let id = running.id.clone();
      renewed.push(Running { id, deadline });
    }
  }
  Ok(Outcome::Beaten { renewed })
}

/// The deadline that a message has in the file. `None`: it is not there any more.
fn stored_deadline(connection: &Connection, running: &Running) -> rusqlite::Result<Option<i64>> {
  let expected = stored_ms(running.deadline);
  if connection
    .prepare_cached(IS_RUNNING)?
    .exists(params![expected, running.id])?
  {
    return Ok(Some(expected));
  }
  // A heartbeat may have come between. Without its deadline, a message is found by looking at them all.
  connection
    .prepare_cached(DEADLINE_OF)?
    .query_row([&running.id], |row| row.get(0))
    .optional()
}

/// The first time in a column, if there is one.
pub(super) fn first(connection: &Connection, sql: &str) -> rusqlite::Result<Option<u64>> {
  connection
    .prepare_cached(sql)?
    .query_row([], |row| {
      Ok(match row.get_ref(0)? {
        ValueRef::Integer(ms) => ms.try_into().unwrap_or(0),
        // A fraction, in a damaged file; Rust's conversion ends at the ends of the type.
        ValueRef::Real(ms) => ms as u64,
        _ => 0,
      })
    })
    .optional()
}

/// A time as the tables have it. Beyond the end of SQLite's integers is as good as at their end.
fn stored_ms(ms: u64) -> i64 {
  ms.try_into().unwrap_or(i64::MAX)
}

/// What is in a column of bytes. A number, in a damaged file, counts as none.
fn bytes(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
  Ok(match row.get_ref(column)? {
    ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.to_vec(),
    _ => Vec::new(),
  })
}

/// JSON text, which may be in a column of text or of bytes.
fn text(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<String> {
  Ok(String::from_utf8_lossy(&bytes(row, column)?).into_owned())
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, WriteError> {
  serde_json::to_string(value)
    .map_err(|error| WriteError::Refused(StoreError::TypeMismatch(error.to_string())))
}

/// What JSON text says. A list that can't be read, in a damaged file, counts as empty: an error would
/// keep the message going round for ever.
fn parse<'a, T: serde::Deserialize<'a> + Default>(json: &'a str) -> T {
  serde_json::from_str(json).unwrap_or_default()
}
