use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rusqlite::Connection;

use super::background::Background;
use super::delivery::QueueListener;
use super::error::{ReadError, WriteError, store_error};
use super::file::schema;
use super::mutex::lock;
use super::options::SqliteOptions;
use super::read::query::{self, Budget};
use super::transaction::{Outcome, Task, commit_private};
use super::usage::usage;
use super::write::{AfterCommit, Executor, Job};
use crate::engine::{
  Answer, AtomicWrite, Backend, Capabilities, Clock, CommitOutcome, Durability, Entries, Held,
  Leader, Listener, ReadOptions, ReadRange, Stats, StoreError, Usage, Watcher,
};

/// A database in memory. There is no disk to wait for, so every call is done at once, on the one
/// connection, in the calling thread.
pub(crate) struct MemoryStore {
  database: Arc<MemoryDatabase>,
  is_closed: AtomicBool,
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
    Ok(Self {
      database,
      is_closed: AtomicBool::new(false),
    })
  }
}

impl Drop for MemoryDatabase {
  fn drop(&mut self) {
    self.core.background.close();
  }
}

fn explain(error: rusqlite::Error) -> StoreError {
  store_error(Path::new(":memory:"), Duration::ZERO, error)
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

impl MemoryStore {
  fn core(&self) -> Result<&Arc<Core>, StoreError> {
    if self.is_closed.load(Ordering::Acquire) {
      return Err(StoreError::closed());
    }
    Ok(&self.database.core)
  }

  fn read<T>(
    &self,
    read: impl FnOnce(&Connection, u64) -> Result<T, ReadError>,
  ) -> Result<T, StoreError> {
    let core = self.core()?;
    let now_ms = core.clock.now_ms();
    read(&lock(&core.rows).connection, now_ms).map_err(|error| error.explain(explain))
  }
}

impl Backend for MemoryStore {
  fn snapshot_read(&self, ranges: Vec<ReadRange>, _options: ReadOptions) -> Answer<Vec<Entries>> {
    Answer::ready(self.read(|connection, now_ms| {
      query::snapshot_read(connection, &ranges, now_ms, &Budget::UNLIMITED)
    }))
  }

  fn get_at_once(
    &self,
    key: &[u8],
    _options: ReadOptions,
  ) -> Option<Result<Option<Held>, StoreError>> {
    Some(self.read(|connection, now_ms| query::get(connection, key, now_ms)))
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let result = self
      .core()
      .and_then(|core| core.execute(&Task::Write(write)));
    Answer::ready(result.map(Outcome::into_commit))
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Result<Watcher, StoreError> {
    Ok(self.core()?.background.watch(keys))
  }

  fn listen(&self) -> Result<Arc<dyn Listener>, StoreError> {
    let dispatcher = self.core()?.background.dispatcher();
    let owner = self.database.clone();
    Ok(Arc::new(QueueListener::new(
      dispatcher,
      Durability::Relaxed,
      owner,
    )))
  }

  fn capabilities(&self) -> Capabilities {
    Capabilities {
      write_ids: true,
      ..Capabilities::default()
    }
  }

  fn database_id(&self, _make: bool) -> Answer<Option<[u8; 16]>> {
    let outcome = self.core().and_then(|core| core.execute(&Task::DatabaseId));
    Answer::ready(outcome.map(Outcome::into_database_id))
  }

  fn usage(&self) -> Answer<Usage> {
    Answer::ready(self.read(|connection, _| Ok(usage(connection)?)))
  }

  fn close(&self) -> Answer<()> {
    if !self.is_closed.swap(true, Ordering::AcqRel) {
      self.database.core.background.end_waits();
    }
    Answer::ready(Ok(()))
  }

  fn stats(&self) -> Stats {
    let mut stats = Stats::default();
    if let Ok(core) = self.core() {
      core.background.add_stats(&mut stats);
    }
    stats
  }
}
