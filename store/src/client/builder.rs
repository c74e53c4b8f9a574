use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Store;
use crate::engine::{Clock, Durability};
use crate::error::KvError;
use crate::limits::Limits;
use crate::sqlite::{self, SqliteOptions};

/// Options for opening a database file: see [`Store::builder`].
///
/// In a process all who open the same file share its connections: the clock, the timeout, the cache and the map of the
/// first apply, while each has limits and a durability of its own.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before open()"]
pub struct Builder {
  path: PathBuf,
  options: SqliteOptions,
  limits: Limits,
}

impl Builder {
  pub(super) fn new(path: &Path) -> Self {
    Self {
      path: path.to_path_buf(),
      options: SqliteOptions::default(),
      limits: Limits::default(),
    }
  }

  /// What a commit has survived when it is answered. Default: [`Durability::Full`].
  pub fn durability(mut self, durability: Durability) -> Self {
    self.options.durability = durability;
    self
  }

  /// How long a write, or opening the file, waits while another process holds the write lock. Default: 10 seconds.
  pub fn busy_timeout(mut self, timeout: Duration) -> Self {
    self.options.busy_timeout = timeout;
    self
  }

  /// The clock that expiry is measured with. Default: the machine's.
  pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
    self.options.clock = clock;
    self
  }

  /// Other limits than Deno's.
  pub fn limits(mut self, limits: Limits) -> Self {
    self.limits = limits;
    self
  }

  /// How many bytes of the file each connection caches, at most: [`SqliteOptions::cache_size`]. Default: 16 MiB.
  pub fn cache_size(mut self, bytes: u64) -> Self {
    self.options.cache_size = bytes;
    self
  }

  /// How many bytes of the file SQLite may map into memory, at its risk: [`SqliteOptions::mmap_size`]. Default: 0.
  pub fn mmap_size(mut self, bytes: u64) -> Self {
    self.options.mmap_size = bytes;
    self
  }

  /// Whether reads look at SQLite's WAL index: [`SqliteOptions::wal_index`]. Default: true.
  pub fn wal_index(mut self, reads: bool) -> Self {
    self.options.wal_index = reads;
    self
  }

  /// Whether durable commits lengthen the log ahead of their need: [`SqliteOptions::wal_preallocation`]. Default: true.
  pub fn wal_preallocation(mut self, preallocates: bool) -> Self {
    self.options.wal_preallocation = preallocates;
    self
  }

  /// Opens the file, or creates it. Where that may take long, a thread does it.
  ///
  /// # Errors
  /// As [`Store::open`].
  pub async fn open(self) -> Result<Store, KvError> {
    let backend = match sqlite::open_file_at_once(&self.path, &self.options) {
      Some(result) => result,
      None => sqlite::open_file_on_thread(self.path, self.options.clone()).await,
    };
    let store = Store::new(backend.map_err(KvError::Open)?, self.options.clock);
    Ok(store.with_limits(self.limits))
  }

  /// The same, holding up the calling thread: for about a millisecond, or up to the
  /// [`busy_timeout`](Self::busy_timeout) while another process has the file locked.
  ///
  /// # Errors
  /// As [`Store::open`].
  pub fn open_blocking(self) -> Result<Store, KvError> {
    let backend = sqlite::open_file(&self.path, &self.options).map_err(KvError::Open)?;
    Ok(Store::new(backend, self.options.clock).with_limits(self.limits))
  }
}
