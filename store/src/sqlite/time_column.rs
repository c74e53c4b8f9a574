use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

/// The time in the first row that `sql` finds, in UTC milliseconds, if there is one.
pub(crate) fn first(connection: &Connection, sql: &str) -> rusqlite::Result<Option<u64>> {
  connection
    .prepare_cached(sql)?
    .query_row([], |row| {
      Ok(match row.get_ref(0)? {
        ValueRef::Integer(ms) => ms.try_into().unwrap_or(0),
        // A fraction, in a damaged file; the conversion saturates.
        ValueRef::Real(ms) => ms as u64,
        _ => 0,
      })
    })
    .optional()
}
