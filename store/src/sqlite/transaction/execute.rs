use super::atomic::{self, AtomicCommit};
use super::database_id;
use super::expiry;
use super::statements::Statements;
use super::task::{Outcome, Task};
use crate::sqlite::error::WriteError;
use crate::sqlite::queue::{self, Reclaimed};
use crate::sqlite::read::query::{self, Budget};

/// Does a task in the transaction that is open. `version` is that of its commit, if it makes one.
pub(super) fn execute(
  statements: &mut Statements<'_>,
  task: &Task,
  version: i64,
  now_ms: u64,
) -> Result<Outcome, WriteError> {
  let connection = statements.connection;
  Ok(match task {
    Task::Write(write) => Outcome::Commit(atomic::apply(statements, write, version, now_ms)?),
    Task::Read(ranges) => Outcome::Read(query::snapshot_read(
      connection,
      ranges,
      now_ms,
      &Budget::UNLIMITED,
    )?),
    Task::Take { max } => Outcome::Taken(queue::take(connection, *max, now_ms)?),
    Task::EndDelivery { lease, delivered } => {
      let mut commit = AtomicCommit::new(statements, version, now_ms);
      let give_up = |key: &[u8], payload: &[u8]| commit.set_undelivered(key, payload);
      let moved = queue::end_delivery(connection, lease, *delivered, now_ms, give_up)?;
      Outcome::Moved(moved)
    }
    Task::Release(leases) => Outcome::Moved(queue::release(connection, leases, now_ms)?),
    Task::Renew { leases, lease } => {
      Outcome::Renewed(queue::renew(connection, leases, *lease, now_ms)?)
    }
    Task::Adopt(ids) => Outcome::Adopted(queue::adopt(connection, ids, now_ms)?),
    Task::FindExpiredLeases => Outcome::ExpiredLeases(queue::expired(connection, now_ms)?),
    Task::Reclaim { noticed, asked } => {
      match queue::reclaim(connection, noticed, asked.elapsed(), now_ms)? {
        Reclaimed::Moved(moved) => Outcome::Moved(moved),
        Reclaimed::TooEarly(expired) => Outcome::ExpiredLeases(expired),
      }
    }
    Task::RemoveExpired => Outcome::Removed(expiry::remove_expired(connection, now_ms)?),
    Task::DatabaseId => Outcome::DatabaseId(database_id::read_or_make(connection)?),
  })
}
