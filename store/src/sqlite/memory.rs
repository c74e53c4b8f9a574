use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use rusqlite::Connection;

use super::SqliteOptions;
use super::background::Background;
use super::delivery::QueueListener;
use super::error::{WriteError, store_error};
use super::file::schema;
use super::lock::lock;
use super::read::query::{self, Budget};
use super::transaction::{Outcome, Task, commit_private};
use super::write::{AfterCommit, Executor, Job};
use crate::engine::{
  Answer, AtomicWrite, Backend, Clock, CommitOutcome, Durability, Entries, Held, Leader, Listener,
  ReadRange, StoreError, Watcher,
};

/// A database in memory. There is no disk to wait for, so every call is done at once, on the one
/// connection, in the calling thread.
pub(crate) struct MemoryStore {
  database: Arc<MemoryDatabase>,
}

/// Dropping the last reference frees the memory.
struct MemoryDatabase {
  core: Arc<Core>,
}

struct Core {
  rows: Mutex<Rows>,
  clock: Arc<dyn Clock>,
  background: Arc<Background>,
}

/// The connection, which nobody else has.
struct Rows {
  connection: Connection,
  /// The version of the last commit. In a file it has a row, and costs two statements.
  last_version: i64,
}

impl Rows {
  fn commit(&mut self, task: &Task, now_ms: u64) -> Result<Outcome, WriteError> {
    commit_private(&mut self.connection, &mut self.last_version, task, now_ms)
  }
}

impl MemoryStore {
  pub(crate) fn open(options: &SqliteOptions) -> Result<Self, StoreError> {
    let mut connection = Connection::open_in_memory().map_err(explain)?;
    schema::migrate(&mut connection).map_err(explain)?;
    let clock = options.clock.clone();
    let core = Arc::new_cyclic(|core: &Weak<Core>| Core {
      rows: Mutex::new(Rows {
        connection,
        last_version: 0,
      }),
      clock: clock.clone(),
      background: Background::new(clock, core.clone(), None),
    });
    let database = Arc::new(MemoryDatabase { core });
    Ok(Self { database })
  }
}

impl Drop for MemoryDatabase {
  fn drop(&mut self) {
    self.core.background.close();
  }
}

fn explain(error: rusqlite::Error) -> StoreError {
  store_error(Path::new(":memory:"), 0, error)
}

impl Core {
  fn execute(&self, task: &Task) -> Result<Outcome, StoreError> {
    let now_ms = self.clock.now_ms();
    // In a statement of its own: what follows may write again.
    let result = lock(&self.rows).commit(task, now_ms);
    let outcome = result.map_err(|error| error.explain(explain))?;
    self.background.committed(task, &outcome);
    Ok(outcome)
  }
}

impl Leader for Core {
  fn lead(&self) {}
}

impl Executor for Core {
  fn submit(self: Arc<Self>, job: Job, _caller_leads: bool) -> Result<(), StoreError> {
    let result = self.execute(job.task());
    job.answer(result);
    Ok(())
  }
}

impl Backend for MemoryStore {
  fn snapshot_read(&self, ranges: Vec<ReadRange>) -> Answer<Vec<Entries>> {
    let core = &self.database.core;
    let now_ms = core.clock.now_ms();
    let connection = &lock(&core.rows).connection;
    let result = query::snapshot_read(connection, &ranges, now_ms, &Budget::UNLIMITED);
    Answer::Now(result.map_err(|error| error.explain(explain)))
  }

  fn get_at_once(&self, key: &[u8]) -> Option<Result<Option<Held>, StoreError>> {
    let core = &self.database.core;
    let now_ms = core.clock.now_ms();
    let result = query::get(&lock(&core.rows).connection, key, now_ms);
    Some(result.map_err(|error| error.explain(explain)))
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let result = self.database.core.execute(&Task::Write(write));
    Answer::Now(result.map(Outcome::into_commit))
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Watcher {
    self.database.core.background.watch(keys)
  }

  fn listen(&self) -> Arc<dyn Listener> {
    let dispatcher = self.database.core.background.dispatcher();
    let owner = self.database.clone();
    Arc::new(QueueListener::new(dispatcher, Durability::Relaxed, owner))
  }
}
