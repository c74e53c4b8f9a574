use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use super::commit::{WriteError, commit_group};
use super::reader::{self, ReadError};
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
    let result = reader::snapshot_read(&connection, &ranges, self.clock.now_ms());
    Answer::Now(result.map_err(|error| match error {
      ReadError::Sqlite(error) => explain(error),
      ReadError::Row(error) => error,
    }))
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let mut connection = lock(&self.connection);
    let result = match commit_group(&mut connection, [&write], self.clock.now_ms()) {
      // One write in, one outcome out.
      Ok(mut outcomes) => outcomes
        .pop()
        .unwrap_or(Err(WriteError::Refused(StoreError::Stopped))),
      Err(error) => Err(WriteError::Sqlite(error)),
    };
    Answer::Now(result.map_err(|error| match error {
      WriteError::Sqlite(error) => explain(error),
      WriteError::Refused(error) => error,
    }))
  }
}
