//! Group commit: the tasks that wait for a file, the one connection that commits them, and who holds it.

mod connection;
mod group_commit;
mod job;
mod order;

pub(crate) use connection::WriteConnection;
pub(crate) use group_commit::GroupCommit;
pub(crate) use job::{Executor, Job};
pub(crate) use order::Order;

use super::transaction::{Outcome, Task};

/// What follows from commits. The thread that has committed calls it for each task before it answers the task.
pub(crate) trait AfterCommit: Send + Sync {
  /// A task is committed.
  fn committed(&self, task: &Task, outcome: &Outcome);

  /// Other processes had committed before.
  fn foreign_commits(&self);
}

#[cfg(test)]
mod tests {
  use std::path::Path;
  use std::sync::Arc;
  use std::time::Duration;

  use super::*;
  use crate::sqlite::file::connect;
  use crate::sqlite::file::identity::FileId;
  use crate::sqlite::file::in_use::InUse;
  use crate::sqlite::options::SqliteOptions;
  use crate::sqlite::read::pool::Pool;

  /// Nothing follows.
  struct Nothing;

  impl AfterCommit for Nothing {
    fn committed(&self, _: &Task, _: &Outcome) {}
    fn foreign_commits(&self) {}
  }

  /// The write connection of a new file, with nothing around it.
  pub(super) fn connection_alone(path: &Path, options: SqliteOptions) -> WriteConnection {
    let opened = connect::writer(path, &options, Duration::ZERO).unwrap();
    let pool = Pool::open(path.into(), &options).unwrap();
    WriteConnection::new(
      path.into(),
      opened.connection,
      options,
      Arc::new(pool),
      Arc::default(),
      Arc::new(Nothing),
      Arc::new(InUse::mark(path, FileId::of(path))),
    )
  }
}
