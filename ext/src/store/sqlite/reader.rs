use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::{Entry, ReadRange, StoreError};
use crate::value::Value;
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

/// A failure inside SQLite, or a row that no version of this store has written.
#[derive(Debug)]
pub(super) enum ReadError {
  Sqlite(rusqlite::Error),
  Row(StoreError),
}

impl From<rusqlite::Error> for ReadError {
  fn from(error: rusqlite::Error) -> Self {
    Self::Sqlite(error)
  }
}

/// Reads all ranges from one snapshot: what has expired at `now_ms` is not there.
pub(super) fn snapshot_read(
  connection: &Connection,
  ranges: &[ReadRange],
  now_ms: u64,
) -> Result<Vec<Vec<Entry>>, ReadError> {
  // A single statement is a snapshot of its own.
  if let [range] = ranges {
    return Ok(vec![read_range(connection, range, now_ms)?]);
  }
  let transaction = connection.unchecked_transaction()?;
  let entries = ranges
    .iter()
    .map(|range| read_range(connection, range, now_ms))
    .collect::<Result<_, _>>()?;
  transaction.commit()?;
  Ok(entries)
}

fn read_range(
  connection: &Connection,
  range: &ReadRange,
  now_ms: u64,
) -> Result<Vec<Entry>, ReadError> {
  if let Some(key) = range.as_point() {
    return connection
      .prepare_cached(POINT)?
      .query_row(params![key, now_ms as i64], |row| {
        Ok(entry(row, key.to_vec()))
      })
      .optional()?
      .map_or(Ok(Vec::new()), |entry| Ok(vec![entry?]));
  }
  let sql = if range.reverse { REVERSE } else { FORWARD };
  let mut statement = connection.prepare_cached(sql)?;
  let limit = range.limit.get();
  let mut rows = statement.query(params![range.start, range.end, now_ms as i64, limit])?;
  let mut entries = Vec::new();
  while let Some(row) = rows.next()? {
    entries.push(entry(row, row.get(3)?)?);
  }
  Ok(entries)
}

fn entry(row: &Row<'_>, key: Vec<u8>) -> Result<Entry, ReadError> {
  let bytes = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
  let value =
    Value::from_stored(bytes, row.get(1)?).map_err(|error| ReadError::Row(error.into()))?;
  let version: i64 = row.get(2)?;
  Ok(Entry {
    key,
    value,
    versionstamp: Versionstamp::from_version(version as u64),
  })
}
