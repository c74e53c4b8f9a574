use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use super::commit::{WriteError, commit_one};
use super::reader::{self, Budget};
use super::registry::lock;
use super::{SqliteOptions, schema};
use crate::store::{
  Answer, AtomicWrite, Clock, CommitOutcome, Entry, ReadRange, Store, StoreError,
};

/// A database in memory. There is no disk to wait for, so every call is done at once, on the one
/// connection, in the calling thread.
pub(super) struct MemoryStore {
  connection: Mutex<Connection>,
  clock: Arc<dyn Clock>,
}

impl MemoryStore {
  pub(super) fn open(options: &SqliteOptions) -> Result<Self, StoreError> {
    let mut connection = Connection::open_in_memory().map_err(explain)?;
    schema::migrate(&mut connection).map_err(explain)?;
    Ok(Self {
      connection: Mutex::new(connection),
      clock: options.clock.clone(),
    })
  }
}

fn explain(error: rusqlite::Error) -> StoreError {
  StoreError::from_sqlite(Path::new(":memory:"), 0, error)
}

impl Store for MemoryStore {
  fn snapshot_read(&self, ranges: Vec<ReadRange>) -> Answer<Vec<Vec<Entry>>> {
    let connection = lock(&self.connection);
    let now_ms = self.clock.now_ms();
    let result = reader::snapshot_read(&connection, &ranges, now_ms, &Budget::UNLIMITED);
    Answer::Now(result.map_err(|error| error.explain(explain)))
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let mut connection = lock(&self.connection);
    let result = commit_one(&mut connection, &write, self.clock.now_ms());
    Answer::Now(result.map_err(|error| match error {
      WriteError::Sqlite(error) => explain(error),
      WriteError::Refused(error) => error,
    }))
  }
}
