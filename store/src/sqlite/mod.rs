//! SQLite as the storage engine.
//!
//! A database file is opened once per process, however often that is asked for (`registry`,
//! `database`): with one write connection, on which whoever waits for a write commits everything that
//! waits as one transaction (`writer`, `committer`, `commit`), and a pool of connections that read WAL
//! snapshots and never wait for the writer (`readers`, `reader`). What follows from commits, and from the clock, is
//! in `events` and `caretaker`. `:memory:` is one connection, private to its handle (`memory`).

mod caretaker;
mod checkpoint;
mod commit;
mod committer;
mod connect;
mod counter;
mod database;
mod dispatcher;
mod events;
mod file_id;
mod file_methods;
mod in_place;
mod limit;
mod log_room;
mod log_state;
mod memory;
mod news;
mod order;
mod queue;
mod reader;
mod readers;
mod registry;
mod schema;
mod sweep;
mod task;
mod thread;
mod watchers;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use database::OpenFile;

use crate::engine::{Backend, Clock, Durability, StoreError, SystemClock, answer_channel};

/// How a SQLite store behaves.
#[derive(Clone)]
pub struct SqliteOptions {
  /// The clock that expiry is measured with.
  pub clock: Arc<dyn Clock>,
  /// How long a write, or opening the file, waits while another process holds the write lock,
  /// before it fails with [`StoreError::Locked`]. Default: 10 seconds.
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
}

impl Default for SqliteOptions {
  fn default() -> Self {
    Self {
      clock: Arc::new(SystemClock),
      busy_timeout: Duration::from_secs(10),
      durability: Durability::default(),
      cache_size: connect::PAGE_CACHE,
      mmap_size: 0,
    }
  }
}

/// Opens the database file at `path`, or creates it. In the process, all who open the same file
/// share its writer; the clock, the timeout, the cache and the map of the first apply, and each has the durability of its
/// own options.
///
/// A file that may only be read is opened for reading.
///
/// # Errors
/// The folder does not exist, the path leads through a symbolic link, the file is no SQLite
/// database or one of a newer format, or another process kept it locked.
pub fn open_file(path: &Path, options: &SqliteOptions) -> Result<Arc<dyn Backend>, StoreError> {
  let database = registry::open(path, options)?;
  Ok(Arc::new(OpenFile::new(database, options.durability)))
}

/// The same for a caller with an event loop, which must not be held up. `None`: use [`open_file`] on
/// another thread. The file has to be made, or a crash left work, or somebody has locked it.
///
/// # Errors
/// As [`open_file`].
pub fn open_file_at_once(
  path: &Path,
  options: &SqliteOptions,
) -> Option<Result<Arc<dyn Backend>, StoreError>> {
  let opened = registry::open_at_once(path, options)?;
  Some(opened.map(|database| Arc::new(OpenFile::new(database, options.durability)) as _))
}

/// The same as [`open_file`], on a thread of its own.
///
/// # Errors
/// As [`open_file`], or no thread can be started.
pub async fn open_file_on_thread(
  path: PathBuf,
  options: SqliteOptions,
) -> Result<Arc<dyn Backend>, StoreError> {
  let (reply, answer) = answer_channel(None);
  let for_file = path.clone();
  thread::spawn(&for_file, "kv-open", move || {
    // Nobody waits any more: the runtime is gone, and the file is closed again.
    let _ = reply.send(open_file(&path, &options));
  })?;
  answer.wait().await
}

/// Whether a file is open as a database in this process, by whatever name, or belongs to one that is: its `-wal` or
/// its `-shm`.
///
/// Such a file must not be opened by other means than SQLite: closing any descriptor of it drops all POSIX locks
/// that the process has on it, and other processes then take it for a file that nobody uses.
pub fn is_open(path: &Path) -> bool {
  registry::is_open(path)
}

/// Commits what waits for all files that are open in this process, and closes them, whoever still has them. To be
/// called when the process is about to end without dropping what it has, as by `std::process::exit`: the log is
/// moved into each file. Calls on them fail afterwards.
pub fn close_all() {
  registry::close_all();
}

/// A database in memory, empty, that only this handle sees.
///
/// # Errors
/// There is no memory left for it.
pub fn open_memory(options: &SqliteOptions) -> Result<Arc<dyn Backend>, StoreError> {
  memory::MemoryStore::open(options).map(|store| Arc::new(store) as Arc<dyn Backend>)
}
