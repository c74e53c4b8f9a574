use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use super::commit::{WriteError, commit_private};
use super::dispatcher::QueueListener;
use super::events::{Events, Host};
use super::reader::{self, Budget};
use super::registry::lock;
use super::task::{Job, Outcome, Task};
use super::{SqliteOptions, schema};
use crate::engine::{
  Answer, AtomicWrite, Backend, CommitOutcome, Drive, Durability, Entries, Held, Listener,
  ReadRange, StoreError, Watcher,
};

/// A database in memory. There is no disk to wait for, so every call is done at once, on the one
/// connection, in the calling thread.
pub(super) struct MemoryStore {
  database: Arc<MemoryDatabase>,
}

/// Dropping the last reference frees the memory.
struct MemoryDatabase {
  core: Arc<Core>,
}

struct Core {
  database: Mutex<Private>,
  events: Arc<Events>,
}

/// What nobody else has open.
struct Private {
  connection: Connection,
  /// The number of the last commit. In a file it has a row, and costs two statements.
  counter: i64,
}

impl Private {
  fn commit(&mut self, task: &Task, now_ms: u64) -> Result<Outcome, WriteError> {
    commit_private(&mut self.connection, &mut self.counter, task, now_ms)
  }
}

impl MemoryStore {
  pub(super) fn open(options: &SqliteOptions) -> Result<Self, StoreError> {
    let mut connection = Connection::open_in_memory().map_err(explain)?;
    schema::migrate(&mut connection).map_err(explain)?;
    let events = Events::new(options.clock.clone(), None);
    let core = Arc::new(Core {
      database: Mutex::new(Private {
        connection,
        counter: 0,
      }),
      events: events.clone(),
    });
    let host: Arc<dyn Host> = core.clone();
    events.set_host(Arc::downgrade(&host));
    let database = Arc::new(MemoryDatabase { core });
    Ok(Self { database })
  }
}

impl Drop for MemoryDatabase {
  fn drop(&mut self) {
    self.core.events.close();
  }
}

fn explain(error: rusqlite::Error) -> StoreError {
  StoreError::from_sqlite(Path::new(":memory:"), 0, error)
}

impl Core {
  fn execute(&self, task: &Task) -> Result<Outcome, StoreError> {
    let now_ms = self.events.now_ms();
    // In a statement of its own: what follows may write again.
    let result = lock(&self.database).commit(task, now_ms);
    let outcome = result.map_err(|error| match error {
      WriteError::Sqlite(error) => explain(error),
      WriteError::Refused(error) => error,
    })?;
    self.events.happened(task, &outcome);
    Ok(outcome)
  }
}

impl Drive for Core {
  fn drive(&self) {}
}

impl Host for Core {
  fn submit(self: Arc<Self>, job: Job, _somebody_waits: bool) -> Result<(), StoreError> {
    let result = self.execute(&job.task);
    job.answer(result);
    Ok(())
  }
}

impl Backend for MemoryStore {
  fn snapshot_read(&self, ranges: Vec<ReadRange>) -> Answer<Vec<Entries>> {
    let core = &self.database.core;
    let now_ms = core.events.now_ms();
    let connection = &lock(&core.database).connection;
    let result = reader::snapshot_read(connection, &ranges, now_ms, &Budget::UNLIMITED);
    Answer::Now(result.map_err(|error| error.explain(explain)))
  }

  fn get_at_once(&self, key: &[u8]) -> Option<Result<Option<Held>, StoreError>> {
    let core = &self.database.core;
    let now_ms = core.events.now_ms();
    let result = reader::get(&lock(&core.database).connection, key, now_ms);
    Some(result.map_err(|error| error.explain(explain)))
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let result = self.database.core.execute(&Task::Write(write));
    Answer::Now(result.map(Outcome::into_commit))
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Watcher {
    let events = &self.database.core.events;
    events.watch(keys)
  }

  fn listen(&self) -> Arc<dyn Listener> {
    let database = self.database.clone();
    Arc::new(QueueListener::new(
      &self.database.core.events,
      Durability::Relaxed,
      database,
    ))
  }
}
