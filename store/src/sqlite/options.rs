use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Clock, Durability, SystemClock};

/// The default of [`SqliteOptions::cache_size`], in bytes: enough for the inner pages of a file of some ten million
/// keys. Memory is taken as pages are read, so a small database takes little.
pub(super) const PAGE_CACHE: u64 = 16 << 20;

/// How a SQLite store behaves.
#[derive(Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
  /// The clock that expiry is measured with.
  pub clock: Arc<dyn Clock>,
  /// How long a write, or opening the file, waits while another process holds the write lock,
  /// before it fails with [`ErrorKind::Locked`](crate::engine::ErrorKind::Locked). Default: 10 seconds.
  pub busy_timeout: Duration,
  /// What a commit has survived when it is answered. Default: [`Durability::Full`].
  pub durability: Durability,
  /// How many bytes of the file each connection caches, at most. Default: 16 MiB. There is a connection for each
  /// thread that reads at the same time, and one that writes; the cache grows as pages are read.
  pub cache_size: u64,
  /// How many bytes of the file SQLite may map into memory, its
  /// [`PRAGMA mmap_size`](https://www.sqlite.org/pragma.html#pragma_mmap_size). Default: 0. With a map, a disk error,
  /// or another process that cuts the file short, ends this process by the signal SIGBUS.
  pub mmap_size: u64,
  /// Whether reads look at SQLite's WAL index, in shared memory, to see without a system call whether anybody has
  /// committed. Default: true. An index of another layout than the one this library knows is not read in any case;
  /// then every read takes a snapshot of its own, and this process wakes its watchers more often than needed.
  pub wal_index: bool,
  /// Whether durable commits lengthen the log's file ahead of their need, by up to 256 KiB at a time, so that fewer of
  /// them wait for the file system to note a new length. Default: true.
  pub wal_preallocation: bool,
  /// Whether the file is opened for reading only, also where it could be written. Default: false.
  pub read_only: bool,
}

impl fmt::Debug for SqliteOptions {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("SqliteOptions")
      .field("busy_timeout", &self.busy_timeout)
      .field("durability", &self.durability)
      .field("cache_size", &self.cache_size)
      .field("mmap_size", &self.mmap_size)
      .field("wal_index", &self.wal_index)
      .field("wal_preallocation", &self.wal_preallocation)
      .field("read_only", &self.read_only)
      .finish_non_exhaustive()
  }
}

impl Default for SqliteOptions {
  fn default() -> Self {
    Self {
      clock: Arc::new(SystemClock),
      busy_timeout: Duration::from_secs(10),
      durability: Durability::default(),
      cache_size: PAGE_CACHE,
      mmap_size: 0,
      wal_index: true,
      wal_preallocation: true,
      read_only: false,
    }
  }
}
