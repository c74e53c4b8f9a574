use rusqlite::Connection;

use super::next_due;
use crate::engine::Usage;

const COUNT_WAITING: &str = "SELECT count(*) FROM (SELECT 1 FROM queue LIMIT ?1)";
const COUNT_RUNNING: &str = "SELECT count(*) FROM (SELECT 1 FROM queue_running LIMIT ?1)";

/// Adds to `usage` how many messages there are.
pub(crate) fn count(connection: &Connection, usage: &mut Usage) -> rusqlite::Result<()> {
  let count = |sql| connection.query_row(sql, [Usage::MOST_MESSAGES as i64], |row| row.get(0));
  let (waiting, running): (i64, i64) = (count(COUNT_WAITING)?, count(COUNT_RUNNING)?);
  usage.waiting_messages = waiting.unsigned_abs();
  usage.running_messages = running.unsigned_abs();
  usage.first_due_at = next_due(connection)?;
  Ok(())
}
