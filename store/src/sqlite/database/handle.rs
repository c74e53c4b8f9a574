use std::sync::{Arc, RwLock};
use std::time::Instant;

use super::Database;
use super::dependents::Dependents;
use crate::engine::{
  Answer, AtomicWrite, Backend, Capabilities, CommitOutcome, Durability, Entries, Held, Listener,
  NoQueue, ReadOptions, ReadRange, Stats, StoreError, Usage, Watcher,
};
use crate::sqlite::delivery::QueueListener;
use crate::sqlite::error::{ReadError, is_busy, read_only};
use crate::sqlite::interrupt::Abandoned;
use crate::sqlite::read::query;
use crate::sqlite::thread;
use crate::sqlite::transaction::{Outcome, Task, database_id};
use crate::sqlite::usage::usage;
use crate::sqlite::write::{Executor, Job, Order};

/// A database file as one caller has opened it.
pub(crate) struct Handle {
  /// `None` once the handle is closed.
  database: RwLock<Option<Arc<Database>>>,
  durability: Durability,
  pub(super) order: Order,
  /// Set when the handle is dropped: nobody wants what is being read for it.
  pub(super) abandoned: Abandoned,
  /// What ends when the handle is closed.
  dependents: Dependents,
  /// It takes no writes, so its reads need no order.
  pub(super) is_for_reads: bool,
}

impl Handle {
  pub(crate) fn new(database: Arc<Database>, durability: Durability) -> Self {
    Self {
      database: RwLock::new(Some(database)),
      durability,
      order: Order::default(),
      abandoned: Abandoned::default(),
      dependents: Dependents::default(),
      is_for_reads: false,
    }
  }

  pub(super) fn database(&self) -> Result<Arc<Database>, StoreError> {
    let database = self.database.read();
    let database = database.unwrap_or_else(std::sync::PoisonError::into_inner);
    database.clone().ok_or_else(StoreError::closed)
  }

  fn write(&self, write: AtomicWrite) -> Result<Answer<CommitOutcome>, StoreError> {
    let database = self.database()?;
    let Some(writer) = database.writer.as_ref().filter(|_| !self.is_for_reads) else {
      return Err(read_only(&database.path));
    };
    let (reply, answer) = Answer::queued(Some(writer.clone()));
    writer.wait_for_room();
    let job = Job::write(write, self.durability, reply).at(self.order.enter());
    writer.clone().submit(job, true)?;
    Ok(answer)
  }

  fn read_or_make_id(&self, make: bool) -> Result<Answer<Option<[u8; 16]>>, StoreError> {
    let database = self.database()?;
    let found = database.read_now(|connection, _| Ok(database_id(connection)?));
    if let Some(id) = found.map_err(|error| database.explain(error))? {
      return Ok(Answer::ready(Ok(Some(id))));
    }
    let Some(writer) = database.writer.as_ref().filter(|_| make) else {
      // What stays the same as long as it is this file.
      return Ok(Answer::ready(Ok(database.file_id.to_bytes())));
    };
    let (reply, answer) = Answer::queued(Some(writer.clone()));
    let job = Job::call(Task::DatabaseId, Durability::Full, |result| {
      // Sending fails when nobody waits any more.
      let _ = reply.send(result.map(Outcome::into_database_id));
    });
    writer.clone().submit(job, true)?;
    Ok(answer)
  }

  /// Takes the database out of the handle.
  fn take(&self) -> Option<Arc<Database>> {
    let database = self.database.write();
    database
      .unwrap_or_else(std::sync::PoisonError::into_inner)
      .take()
  }
}

impl Backend for Handle {
  fn snapshot_read(&self, ranges: Vec<ReadRange>, _options: ReadOptions) -> Answer<Vec<Entries>> {
    self.read(ranges).unwrap_or_else(Answer::from)
  }

  fn get_at_once(
    &self,
    key: &[u8],
    _options: ReadOptions,
  ) -> Option<Result<Option<Held>, StoreError>> {
    let database = match self.database() {
      Ok(database) => database,
      Err(error) => return Some(Err(error)),
    };
    if !self.order.is_clear() {
      return None;
    }
    let result = database.read_now(|connection, now_ms| query::get(connection, key, now_ms));
    match result {
      // The thread can wait.
      Err(ReadError::Sqlite(error)) if is_busy(&error) => None,
      result => Some(result.map_err(|error| database.explain(error))),
    }
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    self.write(write).unwrap_or_else(Answer::from)
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Result<Watcher, StoreError> {
    let watcher = self.database()?.background.watch(keys);
    self.dependents.add_watcher(&watcher);
    Ok(watcher)
  }

  fn listen(&self) -> Result<Arc<dyn Listener>, StoreError> {
    let database = self.database()?;
    if database.writer.is_none() {
      // No message can be taken out of it.
      return Ok(Arc::new(NoQueue(read_only(&database.path))));
    }
    let dispatcher = database.background.dispatcher();
    let listener: Arc<dyn Listener> =
      Arc::new(QueueListener::new(dispatcher, self.durability, database));
    self.dependents.add_listener(&listener);
    Ok(listener)
  }

  fn close(&self) -> Answer<()> {
    let Some(database) = self.take() else {
      return Answer::ready(Ok(()));
    };
    let (reply, answer) = Answer::queued(None);
    self.dependents.close();
    let path = database.path.clone();
    // Empty reads, behind everything that was asked of the handle.
    let last_write = self.read_in_order(&database, Vec::new());
    let last_read = database.read_later(Vec::new(), None, &self.abandoned);
    let close = move || {
      let wait = |last: Answer<Vec<Entries>>| last.wait_blocking().map(drop);
      let result = last_write.and_then(wait).and(last_read.and_then(wait));
      drop(database);
      // Sending fails when nobody waits for the end.
      let _ = reply.send(result);
    };
    match thread::spawn(&path, "kv-close", close) {
      Ok(_) => answer,
      Err(error) => error.into(),
    }
  }

  fn reader(&self) -> Option<Arc<dyn Backend>> {
    let database = self.database().ok()?;
    let mut reader = Self::new(database, self.durability);
    reader.is_for_reads = true;
    Some(Arc::new(reader))
  }

  fn capabilities(&self) -> Capabilities {
    let is_read_only = self
      .database()
      .is_ok_and(|database| database.writer.is_none());
    Capabilities {
      write: !is_read_only,
      queue: !is_read_only,
      write_ids: !is_read_only,
      served_queue: !is_read_only,
      ..Capabilities::default()
    }
  }

  fn database_id(&self, make: bool) -> Answer<Option<[u8; 16]>> {
    self.read_or_make_id(make).unwrap_or_else(Answer::from)
  }

  fn usage(&self) -> Answer<Usage> {
    let usage = self.database().and_then(|database| {
      let result = database.read_now(|connection, _| Ok(usage(connection)?));
      result.map_err(|error| database.explain(error))
    });
    Answer::ready(usage)
  }

  fn stats(&self) -> Stats {
    self
      .database()
      .map_or_else(|_| Stats::default(), |database| database.stats())
  }
}

impl Drop for Handle {
  fn drop(&mut self) {
    // This is the one place that sets it.
    let _ = self.abandoned.set(Instant::now());
    drop(self.take());
  }
}
