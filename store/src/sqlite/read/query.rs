use std::time::{Duration, Instant};

use rusqlite::{Connection, Row, params};

use crate::engine::{Entries, Held, ReadRange};
use crate::sqlite::error::{ReadError, damaged};
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

/// What a read may cost before it ends with [`ReadError::OverBudget`].
pub(crate) struct Budget {
  pub(crate) rows: usize,
  /// Of values.
  pub(crate) bytes: usize,
  /// Reads of a few rows don't look at it.
  pub(crate) time: Option<Duration>,
}

impl Budget {
  pub(crate) const UNLIMITED: Self = Self {
    rows: usize::MAX,
    bytes: usize::MAX,
    time: None,
  };
}

/// Rows between two looks at the time, which cost as much as a tenth of a row.
const ROWS_A_LOOK: usize = 16;

/// What a read has spent of its budget.
struct Spending<'b> {
  budget: &'b Budget,
  rows: usize,
  bytes: usize,
  started: Option<Instant>,
}

impl<'b> Spending<'b> {
  fn new(budget: &'b Budget) -> Self {
    Self {
      budget,
      rows: 0,
      bytes: 0,
      started: budget.time.map(|_| Instant::now()),
    }
  }

  fn row(&mut self, bytes: usize) -> Result<(), ReadError> {
    self.rows += 1;
    self.bytes += bytes;
    let is_late = self.rows.is_multiple_of(ROWS_A_LOOK)
      && self.started.map(|started| started.elapsed()) > self.budget.time;
    if is_late || self.rows > self.budget.rows || self.bytes > self.budget.bytes {
      return Err(ReadError::OverBudget);
    }
    Ok(())
  }
}

/// Reads all ranges from one snapshot: without entries that have expired at `now_ms`.
pub(crate) fn snapshot_read(
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
  let mut spending = Spending::new(budget);
  let entries = ranges
    .iter()
    .map(|range| read_range(connection, range, now_ms, &mut spending))
    .collect::<Result<_, _>>()?;
  if let Some(transaction) = transaction {
    transaction.commit()?;
  }
  Ok(entries)
}

/// Reads one key.
pub(crate) fn get(
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
  spending: &mut Spending<'_>,
) -> Result<Entries, ReadError> {
  if let Some(key) = range.as_point() {
    let mut entries = Entries::default();
    let mut bytes = 0;
    read_point(connection, key, now_ms, |value, versionstamp| {
      bytes = value.size();
      entries.push(key, value, versionstamp);
    })?;
    spending.row(bytes)?;
    return Ok(entries);
  }
  let sql = if range.reverse { REVERSE } else { FORWARD };
  let mut statement = connection.prepare_cached(sql)?;
  let limit = range.limit.get();
  let mut rows = statement.query(params![range.start, range.end, now_ms as i64, limit])?;
  let mut entries = Entries::default();
  while let Some(row) = rows.next()? {
    let (value, versionstamp) = held(row)?;
    let key = row.get_ref(3)?.as_bytes().map_err(rusqlite::Error::from)?;
    if !follows(&entries, key, range.reverse) {
      return Err(damaged("keys are out of order").into());
    }
    spending.row(value.size())?;
    entries.push(key, value, versionstamp);
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
