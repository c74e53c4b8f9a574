use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::reader::{self, ReadError};
use super::registry::{FileId, lock};
use super::writer::{Job, Writer};
use super::{SqliteOptions, connect};
use crate::store::{
  Answer, AtomicWrite, CommitOutcome, Durability, Entry, ReadRange, Store, StoreError,
  answer_channel,
};

/// Up to so many entries are read in the calling thread: a `list` batch of the default size. More
/// go to the reader thread, so that a caller with an event loop is not held up.
const INLINE_ENTRIES: u64 = 128;

/// Idle reader connections that are kept: one for each thread that reads at the same time, in the
/// usual process. Each costs two or three file descriptors and its page cache.
const IDLE_READERS: usize = 4;

/// How long closing waits for the writer to finish and let go of the file. Only a file that
/// another process keeps locked takes longer, and then the thread ends on its own.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A read that a thread does for somebody who can't wait.
type Read = Box<dyn FnOnce() + Send>;

/// An open database file. Dropping the last reference closes it: what was handed to the writer is
/// committed first.
pub(super) struct Database {
  path: PathBuf,
  file_id: FileId,
  options: SqliteOptions,
  /// Connections nobody is reading with. A reader takes one out, so the lock is held for the time
  /// of a `Vec::pop`.
  readers: Mutex<Vec<Connection>>,
  /// `None` when the file may only be read, and while closing.
  writer: Option<mpsc::Sender<Job>>,
  /// Hears a hang-up when the writer has closed its connection. (A `Mutex`, for `Receiver` is not
  /// `Sync`; only `drop` looks at it.)
  writer_ended: Mutex<mpsc::Receiver<()>>,
  /// Reads for those who can't wait; started by the first large read.
  read_thread: Mutex<Option<mpsc::Sender<Read>>>,
}

impl Database {
  pub(super) fn open(path: PathBuf, options: &SqliteOptions) -> Result<Self, StoreError> {
    let opened = connect::writer(&path, options.busy_timeout)?;
    let (ended, writer_ended) = mpsc::channel();
    let writer = if opened.read_only {
      None
    } else {
      let (jobs, waiting) = mpsc::channel();
      let writer = Writer::new(path.clone(), opened.connection, options.clone(), ended);
      spawn(&path, "kv-writer", move || writer.run(&waiting))?;
      Some(jobs)
    };
    Ok(Self {
      file_id: FileId::of(&path),
      path,
      options: options.clone(),
      readers: Mutex::default(),
      writer,
      writer_ended: Mutex::new(writer_ended),
      read_thread: Mutex::default(),
    })
  }

  pub(super) fn file_id(&self) -> FileId {
    self.file_id
  }

  fn read_now(&self, ranges: &[ReadRange]) -> Result<Vec<Vec<Entry>>, StoreError> {
    let failed = |error| {
      StoreError::from_sqlite(
        &self.path,
        self.options.busy_timeout.as_millis() as u64,
        error,
      )
    };
    let idle = lock(&self.readers).pop();
    let connection = match idle {
      Some(connection) => connection,
      None => connect::reader(&self.path, self.options.busy_timeout).map_err(failed)?,
    };
    let result = reader::snapshot_read(&connection, ranges, self.options.clock.now_ms());
    let mut idle = lock(&self.readers);
    if idle.len() < IDLE_READERS {
      idle.push(connection);
    }
    result.map_err(|error| match error {
      ReadError::Sqlite(error) => failed(error),
      ReadError::Row(error) => error,
    })
  }

  fn read_later(
    self: &Arc<Self>,
    ranges: Vec<ReadRange>,
  ) -> Result<Answer<Vec<Vec<Entry>>>, StoreError> {
    let mut thread = lock(&self.read_thread);
    let jobs = match &*thread {
      Some(jobs) => jobs,
      None => {
        let (jobs, waiting) = mpsc::channel::<Read>();
        spawn(&self.path, "kv-reader", move || {
          waiting.iter().for_each(|job| job())
        })?;
        thread.insert(jobs)
      }
    };
    let (reply, answer) = answer_channel();
    let database = self.clone();
    let read: Read = Box::new(move || {
      let result = database.read_now(&ranges);
      // Before the answer: whoever got it may close the database, and expects it closed.
      drop(database);
      // Nobody waits any more: the handle was closed.
      let _ = reply.send(result);
    });
    jobs.send(read).map_err(|_| StoreError::Stopped)?;
    Ok(answer)
  }
}

fn spawn(
  path: &std::path::Path,
  name: &str,
  run: impl FnOnce() + Send + 'static,
) -> Result<(), StoreError> {
  match thread::Builder::new().name(name.into()).spawn(run) {
    Ok(_) => Ok(()),
    Err(error) => Err(StoreError::CannotOpen {
      path: path.to_path_buf(),
      reason: format!("no thread could be started: {error}"),
    }),
  }
}

/// A database file as one of those sees it who have opened it.
pub(super) struct OpenFile {
  database: Arc<Database>,
  durability: Durability,
}

impl OpenFile {
  pub(super) fn new(database: Arc<Database>, durability: Durability) -> Self {
    Self {
      database,
      durability,
    }
  }
}

impl Store for OpenFile {
  fn snapshot_read(&self, ranges: Vec<ReadRange>) -> Answer<Vec<Vec<Entry>>> {
    let entries: u64 = ranges
      .iter()
      .map(|range| u64::from(range.limit.get()))
      .sum();
    if entries <= INLINE_ENTRIES {
      return Answer::Now(self.database.read_now(&ranges));
    }
    self
      .database
      .read_later(ranges)
      .unwrap_or_else(|error| Answer::Now(Err(error)))
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let Some(writer) = &self.database.writer else {
      return Answer::Now(Err(StoreError::ReadOnly {
        path: self.database.path.clone(),
      }));
    };
    let (reply, answer) = answer_channel();
    let job = Job {
      write,
      durability: self.durability,
      reply,
    };
    match writer.send(job) {
      Ok(()) => answer,
      Err(_) => Answer::Now(Err(StoreError::Stopped)),
    }
  }
}

impl Drop for Database {
  fn drop(&mut self) {
    lock(&self.readers).clear();
    // Hanging up ends the writer's loop, once it has answered everything. The last connection to
    // close moves the WAL into the database file and removes it: the file is whole on its own.
    if self.writer.take().is_some() {
      let _ = lock(&self.writer_ended).recv_timeout(CLOSE_TIMEOUT);
    }
  }
}
