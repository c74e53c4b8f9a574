//! SQLite as the storage engine.
//!
//! A database file is opened once per process, however often that is asked for. It has one write connection, on which
//! whoever holds it commits what waits (up to 1024 tasks, or 8 MiB) as one transaction, and a pool of connections that read WAL snapshots
//! and never wait for the writer. `:memory:` is one connection, private to its handle.
//!
//! # Rooms
//!
//! Arrows go down this list only:
//!
//! | room | what happens in it |
//! |---|---|
//! | `database/`, `memory.rs` | an open file, shared by its handles, and which thread a read runs on; a database in memory |
//! | `background/` | what follows from commits and from the clock: watchers, expiry, the maintenance thread |
//! | `delivery/` | messages to listeners: leases are renewed, messages of dead processes reclaimed |
//! | `write/` | group commit: who commits, what is committed together, the write connection |
//! | `transaction/` | what one transaction does: atomic writes, reads among them, the queue, expired rows; versions |
//! | `queue/` | the queue's tables: due messages, leases, backoff |
//! | `read/` | the queries, and the pool of connections with the snapshots that it keeps |
//! | `wal/` | the log: its index, preallocation, checkpoints, commits of other processes |
//! | `file/` | paths, the file's identity, its schema, connections |
//! | `alarm.rs`, `error.rs`, `interrupt.rs`, `mutex.rs`, `options.rs`, `sqlite_api.rs`, `thread.rs`, `time_column.rs`, `usage.rs` | small things that several rooms need |
//!
//! # Threads
//!
//! | thread | started by | does |
//! |---|---|---|
//! | the caller's | | small reads, and group commits that it leads while it waits |
//! | `kv-writer` | the first task | the other group commits, and all tasks of the background |
//! | `kv-reader` | the first read that the calling thread can't do | long reads |
//! | `kv-checkpoint` | the first checkpoint | checkpoints, beside commits |
//! | `kv-maintenance` | the first watcher, listener, expiry or kept snapshot | looks for foreign commits, evicts snapshots, and submits tasks: to renew leases, to take due messages, to remove expired rows |
//! | `kv-close` | `Backend::close` | waits for what is outstanding, and closes the file if it was the last handle |
//! | `kv-open` | `open_file_on_thread` | opens a file |
//!
//! # Locks
//!
//! A thread that holds one of these takes only ones further down:
//!
//! | lock | protects |
//! |---|---|
//! | the registry | which slots there are; a slot is only tried for under it |
//! | a slot of the registry | one file while it is opened |
//! | `Maintenance::thread`, `Database::read_thread` | whether a thread is started |
//! | `Core::rows` | the connection of a database in memory |
//! | `GroupCommit::waiting` | the jobs that wait, and the write connection while nobody commits |
//! | `Pool::state` | idle read connections and their snapshots |
//! | `Watchers::by_key` | the watchers; a watcher's own state is locked under it, and its task woken |
//! | `Dispatcher::state`, `ExpirySchedule::state`, `Alarm::state`, `Handle::database`, `in_use::OPEN` | what the name says; no other lock is taken under them |
//!
//! The leader holds the write connection by having taken it out of `GroupCommit`, not a lock: calls that follow from its
//! commits may submit new jobs.

mod alarm;
mod background;
mod database;
mod delivery;
mod error;
mod file;
mod interrupt;
mod memory;
mod mutex;
mod options;
mod queue;
mod read;
mod sqlite_api;
mod thread;
mod time_column;
mod transaction;
mod usage;
mod wal;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use database::Handle;
pub use options::SqliteOptions;

use crate::engine::{Answer, Backend, StoreError};

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
  let database = database::open(path, options)?;
  Ok(Arc::new(Handle::new(database, options.durability)))
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
  let opened = database::open_at_once(path, options)?;
  Some(opened.map(|database| Arc::new(Handle::new(database, options.durability)) as _))
}

/// The same as [`open_file`], on a thread of its own.
///
/// # Errors
/// As [`open_file`], or no thread can be started.
pub async fn open_file_on_thread(
  path: PathBuf,
  options: SqliteOptions,
) -> Result<Arc<dyn Backend>, StoreError> {
  let (reply, answer) = Answer::queued(None);
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
  file::in_use::is_in_use(path)
}

/// Whether a file is a database that has tables, and none of Deno KV's: opening it would add them. False where there is
/// no such file, or it can't be read.
pub fn is_of_another_program(path: &Path) -> bool {
  path.is_file() && file::schema::is_foreign_database(path).unwrap_or(false)
}

/// Commits what waits for all files that are open in this process, and closes them, whoever still has them. To be
/// called when the process is about to end without dropping what it has, as by `std::process::exit`: the log is
/// moved into each file. Calls on them fail afterwards.
pub fn close_all() {
  database::close_all();
}

/// A database in memory, empty, that only this handle sees.
///
/// # Errors
/// There is no memory left for it.
pub fn open_memory(options: &SqliteOptions) -> Result<Arc<dyn Backend>, StoreError> {
  memory::MemoryStore::open(options).map(|store| Arc::new(store) as Arc<dyn Backend>)
}
