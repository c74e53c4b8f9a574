use rusqlite::Connection;

use super::queue;
use crate::engine::Usage;

/// What the database of a connection holds.
pub(crate) fn usage(connection: &Connection) -> rusqlite::Result<Usage> {
  let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
  let bytes = pragma("page_count")?.saturating_mul(pragma("page_size")?);
  let mut usage = Usage {
    bytes: bytes.unsigned_abs(),
    ..Usage::default()
  };
  queue::count(connection, &mut usage)?;
  Ok(usage)
}
