//! A database file that is open in this process, shared by all handles on it.

mod dependents;
mod handle;
mod reads;
mod registry;

use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

pub(crate) use handle::Handle;
pub(crate) use registry::{close_all, open, open_at_once};

use super::background::{Background, SharedFile};
use super::error::{ReadError, store_error};
use super::file::connect;
use super::file::identity::FileId;
use super::file::in_use::InUse;
use super::options::SqliteOptions;
use super::read::pool::Pool;
use super::transaction::next_expiry;
use super::wal::foreign_commits::ForeignCommits;
use super::write::{GroupCommit, WriteConnection};
use crate::engine::{Stats, StoreError};

/// How long closing waits for the last commits. Only a file that another process keeps locked takes longer, and then
/// the writer thread ends on its own.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A read that the reader thread does for a caller that can't wait.
type ReadJob = Box<dyn FnOnce() + Send>;

/// An open database file. Dropping the last reference closes it: what was handed to the writer is
/// committed first.
pub(crate) struct Database {
  path: PathBuf,
  file_id: FileId,
  options: SqliteOptions,
  pool: Arc<Pool>,
  background: Arc<Background>,
  /// `None` when the file may only be read.
  writer: Option<Arc<GroupCommit>>,
  /// Started by the first large read.
  read_thread: Mutex<Option<mpsc::Sender<ReadJob>>>,
  /// After the connections, so that it is dropped last.
  _in_use: Arc<InUse>,
}

impl Database {
  /// Opens a file. `patience` is how long it waits for other processes.
  pub(crate) fn open(
    path: PathBuf,
    options: &SqliteOptions,
    patience: Duration,
  ) -> Result<Self, StoreError> {
    let opened = connect::writer(&path, options, patience)?;
    let file_id = FileId::of(&path);
    let in_use = Arc::new(InUse::mark(&path, file_id));
    let failed = |error| store_error(&path, Duration::ZERO, error);
    let expires_at = next_expiry(&opened.connection).map_err(failed)?;
    let pool = Arc::new(Pool::open(path.clone(), options).map_err(failed)?);
    let foreign_commits = Arc::new(ForeignCommits::default());
    let file = SharedFile {
      pool: pool.clone(),
      foreign_commits: foreign_commits.clone(),
      reads_wal_index: options.wal_index,
    };
    let clock = options.clock.clone();
    let (writer, background) = if opened.read_only {
      let nobody: Weak<GroupCommit> = Weak::new();
      (None, Background::new(clock, nobody, Some(file)))
    } else {
      let mut background = None;
      let writer = Arc::new_cyclic(|writer: &Weak<GroupCommit>| {
        let background = background.insert(Background::new(clock, writer.clone(), Some(file)));
        let connection = WriteConnection::new(
          path.clone(),
          opened.connection,
          options.clone(),
          pool.clone(),
          foreign_commits,
          background.clone(),
          in_use.clone(),
        );
        GroupCommit::new(path.clone(), connection)
      });
      // The closure above has run.
      (Some(writer), background.ok_or_else(StoreError::closed)?)
    };
    if writer.is_some()
      && let Some(expires_at) = expires_at
    {
      background.note_expiry(expires_at);
    }
    Ok(Self {
      path,
      file_id,
      options: options.clone(),
      pool,
      background,
      writer,
      read_thread: Mutex::default(),
      _in_use: in_use,
    })
  }

  /// Ends what goes on in the background, commits what waits, and closes the file.
  fn close(&self) {
    // Watchers and listeners are told, and the observer's connection closes.
    self.background.close();
    self.pool.close();
    // The last connection to close moves the log into the database file and removes it: the file is whole on its own.
    if let Some(writer) = &self.writer {
      writer.close(CLOSE_TIMEOUT);
    }
  }

  fn stats(&self) -> Stats {
    let mut stats = Stats::default();
    if let Some(writer) = &self.writer {
      writer.add_stats(&mut stats);
    }
    self.background.add_stats(&mut stats);
    let (idle, cache_bytes) = self.pool.idle();
    stats.idle_readers = idle as u64;
    stats.cache_bytes = cache_bytes;
    stats
  }

  fn explain(&self, error: ReadError) -> StoreError {
    error.explain(|error| store_error(&self.path, self.options.busy_timeout, error))
  }
}

impl Drop for Database {
  fn drop(&mut self) {
    self.close();
  }
}
