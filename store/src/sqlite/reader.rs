use std::time::{Duration, Instant};

use rusqlite::{Connection, Row, ffi, params};

use crate::engine::{Entries, Held, ReadRange, StoreError};
use crate::value::ValueRef;
use crate::versionstamp::Versionstamp;

// `expiration_ms` is -1 for a value that never expires. The unary plus keeps the planner from
// reading a range through the index on that column instead of in key order.
const POINT: &str = "SELECT v, v_encoding, version FROM kv
  WHERE k = ?1 AND (+expiration_ms < 0 OR +expiration_ms > ?2)";
const FORWARD: &str = "SELECT v, v_encoding, version, k FROM kv
  WHERE k >= ?1 AND k < ?2 AND (+expiration_ms < 0 OR +expiration_ms > ?3)
  ORDER BY k LIMIT ?4";
const REVERSE: &str = "SELECT v, v_encoding, version, k FROM kv
  WHERE k >= ?1 AND k < ?2 AND (+expiration_ms < 0 OR +expiration_ms > ?3)
  ORDER BY k DESC LIMIT ?4";

/// A failure inside SQLite, or the end of a budget.
#[derive(Debug)]
pub(super) enum ReadError {
  Sqlite(rusqlite::Error),
  /// The read is longer than the caller's thread can spare.
  TooLong,
}

impl ReadError {
  /// The store's error; `explain` knows the file.
  pub(super) fn explain(self, explain: impl FnOnce(rusqlite::Error) -> StoreError) -> StoreError {
    match self {
      Self::Sqlite(error) => explain(error),
      // Whoever sets a budget reads again without one.
      Self::TooLong => StoreError::Stopped,
    }
  }
}

impl From<rusqlite::Error> for ReadError {
  fn from(error: rusqlite::Error) -> Self {
    Self::Sqlite(error)
  }
}

/// What a read may cost before it ends with [`ReadError::TooLong`].
pub(super) struct Budget {
  bytes: usize,
  time: Option<Duration>,
}

/// Rows between two looks at the time, which cost as much as a tenth of a row.
const ROWS_A_LOOK: usize = 16;

impl Budget {
  pub(super) const UNLIMITED: Self = Self::new(usize::MAX, None);

  /// `time` is not looked at by reads of a few rows.
  pub(super) const fn new(bytes: usize, time: Option<Duration>) -> Self {
    Self { bytes, time }
  }
}

/// Reads all ranges from one snapshot: what has expired at `now_ms` is not there.
pub(super) fn snapshot_read(
  connection: &Connection,
  ranges: &[ReadRange],
  now_ms: u64,
  budget: &Budget,
) -> Result<Vec<Entries>, ReadError> {
  // A single statement is a snapshot of its own, and a transaction is one that is kept.
  let transaction = match ranges {
    [_, _, ..] if connection.is_autocommit() => Some(connection.unchecked_transaction()?),
    _ => None,
  };
  let entries = ranges
    .iter()
    .map(|range| read_range(connection, range, now_ms, budget))
    .collect::<Result<_, _>>()?;
  if let Some(transaction) = transaction {
    transaction.commit()?;
  }
  Ok(entries)
}

/// Reads one key.
pub(super) fn get(
  connection: &Connection,
  key: &[u8],
  now_ms: u64,
) -> Result<Option<Held>, ReadError> {
  let mut found = None;
  read_point(connection, key, now_ms, |value, versionstamp| {
    let value = value.to_value();
    found = Some(Held {
      value,
      versionstamp,
    });
  })?;
  Ok(found)
}

/// Finds one key, and shows what it holds.
fn read_point(
  connection: &Connection,
  key: &[u8],
  now_ms: u64,
  show: impl FnOnce(ValueRef<'_>, Versionstamp),
) -> Result<(), ReadError> {
  let mut statement = connection.prepare_cached(POINT)?;
  let mut rows = statement.query(params![key, now_ms as i64])?;
  if let Some(row) = rows.next()? {
    let (value, versionstamp) = held(row)?;
    show(value, versionstamp);
  }
  Ok(())
}

fn read_range(
  connection: &Connection,
  range: &ReadRange,
  now_ms: u64,
  budget: &Budget,
) -> Result<Entries, ReadError> {
  if let Some(key) = range.as_point() {
    let mut entries = Entries::default();
    read_point(connection, key, now_ms, |value, versionstamp| {
      entries.push(key, value, versionstamp);
    })?;
    return Ok(entries);
  }
  let sql = if range.reverse { REVERSE } else { FORWARD };
  let mut statement = connection.prepare_cached(sql)?;
  let limit = range.limit.get();
  let mut rows = statement.query(params![range.start, range.end, now_ms as i64, limit])?;
  let mut entries = Entries::default();
  let mut bytes = 0;
  let started = budget.time.map(|time| (Instant::now(), time));
  while let Some(row) = rows.next()? {
    let (value, versionstamp) = held(row)?;
    let key = row.get_ref(3)?.as_bytes().map_err(rusqlite::Error::from)?;
    if !follows(&entries, key, range.reverse) {
      return Err(damaged("keys are out of order").into());
    }
    bytes += value.size();
    entries.push(key, value, versionstamp);
    let is_late = entries.len() % ROWS_A_LOOK == 0
      && started.is_some_and(|(started, time)| started.elapsed() > time);
    if is_late || bytes > budget.bytes {
      return Err(ReadError::TooLong);
    }
  }
  Ok(entries)
}

/// Whether a key comes after those that were read. In a damaged tree, a range may come back to where it was, and
/// never end.
fn follows(entries: &Entries, key: &[u8], reverse: bool) -> bool {
  let last = entries
    .len()
    .checked_sub(1)
    .and_then(|last| entries.get(last));
  last.is_none_or(|last| match reverse {
    true => key < last.key,
    false => key > last.key,
  })
}

fn damaged(what: &str) -> rusqlite::Error {
  let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
  let message = format!("database disk image is malformed: {what}");
  rusqlite::Error::SqliteFailure(code, Some(message))
}

/// What a row holds, where SQLite has it. Columns of other types than the tables declare, in a damaged file,
/// make a value that can't be decoded: the rest of the range can.
fn held<'a>(row: &'a Row<'_>) -> Result<(ValueRef<'a>, Versionstamp), ReadError> {
  let encoding = row.get_ref(1)?.as_i64().unwrap_or(-1);
  let value = match row.get_ref(0)?.as_bytes() {
    Ok(bytes) => ValueRef::from_stored(bytes, encoding),
    Err(_) => ValueRef::Unknown {
      encoding: -1,
      bytes: &[],
    },
  };
  let version = row.get_ref(2)?.as_i64().unwrap_or(0);
  Ok((value, Versionstamp::from_version(version as u64)))
}
