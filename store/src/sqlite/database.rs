use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::committer::Committer;
use super::connect::{self, is_busy};
use super::dispatcher::QueueListener;
use super::events::{Events, Host};
use super::file_id::FileId;
use super::limit::{self, Abandoned};
use super::order::Order;
use super::reader::{self, Budget, ReadError};
use super::readers::{Readers, Snapshot};
use super::registry::lock;
use super::sweep::NEXT_EXPIRY;
use super::task::Job;
use super::writer::Writer;
use super::{SqliteOptions, queue, thread};
use crate::engine::{
  Answer, AtomicWrite, Backend, CommitOutcome, Durability, Entries, Held, Listener, Message,
  MessageId, ReadRange, StoreError, Watcher, answer_channel,
};

/// Up to so many entries are read in the calling thread: a `list` batch of the default size, which
/// takes a tenth of a millisecond. More go to the reader thread, so that a caller with an event loop
/// is not held up.
const INLINE_ENTRIES: u64 = 128;

/// What such a read may cost: when its values turn out to be large, or the disk slow, the reader
/// thread does it instead. In a millisecond, 256 KB are read ten times.
const INLINE_BUDGET: Budget = Budget::new(256 << 10, Some(INLINE_TIME));
const INLINE_TIME: Duration = Duration::from_micros(500);

/// What an entry of a read that waits behind writes counts as, where groups of a commit are kept small.
const ORDERED_ENTRY_BYTES: usize = 1024;

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
  readers: Arc<Readers>,
  events: Arc<Events>,
  /// `None` when the file may only be read, and while closing.
  writer: Option<Arc<Writer>>,
  /// Reads for those who can't wait; started by the first large read.
  read_thread: Mutex<Option<mpsc::Sender<Read>>>,
}

impl Database {
  /// Opens a file. `patience` is how long it waits for other processes.
  pub(super) fn open(
    path: PathBuf,
    options: &SqliteOptions,
    patience: Duration,
  ) -> Result<Self, StoreError> {
    let opened = connect::writer(&path, patience)?;
    let failed = |error| StoreError::from_sqlite(&path, 0, error);
    let readers = Readers::open(path.clone(), options).map_err(failed)?;
    let readers = Arc::new(readers);
    let events = Events::new(options.clock.clone(), Some(readers.clone()));
    let writer = if opened.read_only {
      None
    } else {
      let expires_at = readers
        .read_alone(|connection| Ok(queue::first(connection, NEXT_EXPIRY)?))
        .map_err(|error| error.explain(failed))?;
      let connection = opened.connection;
      if options.cache_size != connect::PAGE_CACHE {
        connect::set_cache_size(&connection, options.cache_size).map_err(failed)?;
      }
      let committer = Committer::new(path.clone(), connection, options.clone(), events.clone());
      let writer = Arc::new(Writer::new(path.clone(), committer));
      let host: Arc<dyn Host> = writer.clone();
      events.set_host(Arc::downgrade(&host));
      if let Some(expires_at) = expires_at {
        events.note_expiry(expires_at);
      }
      Some(writer)
    };
    Ok(Self {
      file_id: FileId::of(&path),
      path,
      options: options.clone(),
      readers,
      events,
      writer,
      read_thread: Mutex::default(),
    })
  }

  pub(super) fn file_id(&self) -> FileId {
    self.file_id
  }

  /// The file, its log, and the index of that.
  pub(super) fn files(&self) -> [FileId; 3] {
    [
      self.file_id,
      FileId::of(&connect::log_path(&self.path)),
      FileId::of(&connect::log_index_path(&self.path)),
    ]
  }

  /// Ends what is going on around the file, commits what waits, and closes it.
  pub(super) fn close(&self) {
    // Who waits is told, and the caretaker's connection closed.
    self.events.close();
    self.readers.close();
    // The writer ends once it has answered everything. The last connection to
    // close moves the WAL into the database file and removes it: the file is whole on its own.
    if let Some(writer) = &self.writer {
      writer.close(CLOSE_TIMEOUT);
    }
  }

  /// Reads what takes no longer than the calling thread can spare.
  fn read_now<T>(
    &self,
    read: impl FnOnce(&Connection, u64) -> Result<T, ReadError>,
  ) -> Result<T, ReadError> {
    let now_ms = self.options.clock.now_ms();
    let keep = || self.events.start_caretaker();
    self
      .readers
      .read(now_ms, keep, |connection| read(connection, now_ms))
  }

  /// Reads what takes as long as it takes. For locks it waits too: another process may be putting the
  /// log of a crash in order.
  fn read_patiently(&self, ranges: &[ReadRange]) -> Result<Vec<Entries>, ReadError> {
    self.readers.read_alone(|connection| {
      connection.busy_timeout(self.options.busy_timeout)?;
      let now_ms = self.options.clock.now_ms();
      let result = reader::snapshot_read(connection, ranges, now_ms, &Budget::UNLIMITED);
      connection.busy_timeout(Duration::ZERO)?;
      result
    })
  }

  fn explain(&self, error: ReadError) -> StoreError {
    let waited_ms = self.options.busy_timeout.as_millis() as u64;
    error.explain(|error| StoreError::from_sqlite(&self.path, waited_ms, error))
  }

  /// Reads on the reader thread: from `snapshot`, or from one that it takes when it comes to it.
  fn read_later(
    self: &Arc<Self>,
    ranges: Vec<ReadRange>,
    snapshot: Option<Snapshot>,
    abandoned: &Abandoned,
  ) -> Result<Answer<Vec<Entries>>, StoreError> {
    let mut thread = lock(&self.read_thread);
    let jobs = match &*thread {
      Some(jobs) => jobs,
      None => {
        let (jobs, waiting) = mpsc::channel::<Read>();
        thread::spawn(&self.path, "kv-reader", move || {
          waiting.iter().for_each(|job| job())
        })?;
        thread.insert(jobs)
      }
    };
    let (reply, answer) = answer_channel(None);
    let (database, abandoned) = (self.clone(), abandoned.clone());
    let now_ms = self.options.clock.now_ms();
    let read: Read = Box::new(move || {
      let result = match snapshot {
        Some(snapshot) => database.readers.read_from(snapshot, |connection| {
          limit::while_wanted(&abandoned, || {
            reader::snapshot_read(connection, &ranges, now_ms, &Budget::UNLIMITED)
          })
        }),
        None => limit::while_wanted(&abandoned, || database.read_patiently(&ranges)),
      };
      let result = result.map_err(|error| database.explain(error));
      // Before the answer: whoever got it may close the database, and expects it closed.
      drop(database);
      // Nobody waits any more: the handle was closed.
      let _ = reply.send(result);
    });
    jobs.send(read).map_err(|_| StoreError::Stopped)?;
    Ok(answer)
  }
}

/// A database file as one of those sees it who have opened it.
pub(super) struct OpenFile {
  database: Arc<Database>,
  durability: Durability,
  order: Order,
  /// The handle was closed: nobody wants what is being read for it.
  abandoned: Abandoned,
}

impl OpenFile {
  pub(super) fn new(database: Arc<Database>, durability: Durability) -> Self {
    Self {
      database,
      durability,
      order: Order::default(),
      abandoned: Abandoned::default(),
    }
  }

  /// Reads in the calling thread what is small and may be read now; the rest behind the writes of this handle, or
  /// on the reader thread.
  fn read(&self, ranges: Vec<ReadRange>) -> Result<Answer<Vec<Entries>>, StoreError> {
    let database = &self.database;
    if !self.order.is_clear() {
      return self.read_in_order(ranges);
    }
    if entries(&ranges) <= INLINE_ENTRIES {
      let result = database.read_now(|connection, now_ms| {
        limit::until(Instant::now() + INLINE_TIME, || {
          reader::snapshot_read(connection, &ranges, now_ms, &INLINE_BUDGET)
        })
      });
      match result {
        // The thread can take its time.
        Err(ReadError::TooLong) => {}
        Err(ReadError::Sqlite(error)) if limit::is_interrupted(&error) || is_busy(&error) => {}
        result => return Ok(Answer::Now(result.map_err(|error| database.explain(error)))),
      }
    }
    // What is asked for later must not be seen: the snapshot is taken now, or the read has its place among
    // the writes.
    match database.readers.snapshot() {
      Ok(Some(snapshot)) => database.read_later(ranges, Some(snapshot), &self.abandoned),
      Ok(None) => self.read_in_order(ranges),
      Err(error) if is_busy(&error) => self.read_in_order(ranges),
      Err(error) => Err(database.explain(error.into())),
    }
  }

  /// Reads behind what this handle has asked for, by the queue of the writer.
  fn read_in_order(&self, ranges: Vec<ReadRange>) -> Result<Answer<Vec<Entries>>, StoreError> {
    let Some(writer) = &self.database.writer else {
      return self.database.read_later(ranges, None, &self.abandoned);
    };
    let (reply, answer) = answer_channel(Some(writer.clone()));
    let bytes = usize::try_from(entries(&ranges)).map_or(usize::MAX, |entries| {
      entries.saturating_mul(ORDERED_ENTRY_BYTES)
    });
    let job = Job::read(ranges, bytes, reply).at(self.order.enter());
    writer.submit(job, true)?;
    Ok(answer)
  }
}

/// How many entries are asked for.
fn entries(ranges: &[ReadRange]) -> u64 {
  ranges
    .iter()
    .map(|range| u64::from(range.limit.get()))
    .sum()
}

impl Backend for OpenFile {
  fn snapshot_read(&self, ranges: Vec<ReadRange>) -> Answer<Vec<Entries>> {
    self
      .read(ranges)
      .unwrap_or_else(|error| Answer::Now(Err(error)))
  }

  fn get_at_once(&self, key: &[u8]) -> Option<Result<Option<Held>, StoreError>> {
    let database = &self.database;
    if !self.order.is_clear() {
      return None;
    }
    let result = database.read_now(|connection, now_ms| reader::get(connection, key, now_ms));
    match result {
      // The thread can wait.
      Err(ReadError::Sqlite(error)) if is_busy(&error) => None,
      result => Some(result.map_err(|error| database.explain(error))),
    }
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let Some(writer) = &self.database.writer else {
      return Answer::Now(Err(StoreError::ReadOnly {
        path: self.database.path.clone(),
      }));
    };
    let (reply, answer) = answer_channel(Some(writer.clone()));
    writer.wait_for_room();
    let job = Job::write(write, self.durability, reply).at(self.order.enter());
    match writer.submit(job, true) {
      Ok(()) => answer,
      Err(error) => Answer::Now(Err(error)),
    }
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Watcher {
    self.database.events.watch(keys)
  }

  fn listen(&self) -> Arc<dyn Listener> {
    let database = &self.database;
    if database.writer.is_none() {
      return Arc::new(ReadOnlyListener {
        path: database.path.clone(),
      });
    }
    let owner = database.clone();
    Arc::new(QueueListener::new(&database.events, self.durability, owner))
  }
}

impl Drop for OpenFile {
  fn drop(&mut self) {
    // This is the one place that sets it.
    let _ = self.abandoned.set(Instant::now());
  }
}

/// One who listens to the queue of a file that may only be read: no message can be taken out of it.
struct ReadOnlyListener {
  path: PathBuf,
}

impl Listener for ReadOnlyListener {
  fn receive(&self, _max: usize) -> Answer<Vec<Message>> {
    Answer::Now(Err(StoreError::ReadOnly {
      path: self.path.clone(),
    }))
  }

  fn finish(&self, _id: MessageId, _delivered: bool) -> Answer<()> {
    Answer::Now(Ok(()))
  }

  fn close(&self) {}
}

impl Drop for Database {
  fn drop(&mut self) {
    self.close();
  }
}
