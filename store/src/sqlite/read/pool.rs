//! The pool of connections that read, and the snapshots that they keep.
//!
//! A read takes a snapshot and releases it: a lock, the file's length while the log is empty, and an unlock, three
//! system calls that take as long as finding a row does. So in a streak of reads the snapshot is kept, and used again
//! as long as it is the newest state of the file, which the WAL index tells: a read sees every commit that was
//! answered before it began, whoever made it.
//!
//! A kept snapshot can keep a checkpoint from its end, and the log from starting over. So none is kept while anybody
//! commits, and it is released before this process commits, after some reads, and when it was not used for a moment
//! ([`Pool::evict`]).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use super::pooled::PooledConnection;
use crate::sqlite::error::ReadError;
use crate::sqlite::file::connect;
use crate::sqlite::mutex::lock;
use crate::sqlite::options::SqliteOptions;
use crate::sqlite::sqlite_api::cache_bytes;

/// Idle connections that are held ready: one for each thread that reads at the same time, in the usual
/// process. Each costs two or three file descriptors and its page cache.
const IDLE: usize = 4;

/// Snapshots that may wait for their reads. Each is a connection, and keeps the log from starting over.
const SNAPSHOTS: usize = 4;

const TAKE_SNAPSHOT: &str = "SELECT 1 FROM kv LIMIT 1";

/// How often to call [`Pool::evict`]. A snapshot that is not used is kept for twice as long at most.
pub(crate) const EVICTION: Duration = Duration::from_millis(10);

/// The connections of a file that read.
pub(crate) struct Pool {
  path: PathBuf,
  options: SqliteOptions,
  state: Mutex<PoolState>,
  /// Snapshots that wait for their reads.
  waiting: Arc<AtomicUsize>,
}

#[derive(Default)]
struct PoolState {
  /// Connections that nobody is reading with. A read takes one out.
  idle: Vec<PooledConnection>,
  /// How often all snapshots had to be released. One of an earlier epoch is released when its read ends.
  epoch: u64,
  /// Somebody calls `evict`.
  is_evicting: bool,
}

/// A snapshot for one read. Dropping it without reading closes its connection.
pub(crate) struct Snapshot {
  reader: PooledConnection,
  _place: Place,
}

/// A place among the snapshots that may wait.
struct Place(Arc<AtomicUsize>);

impl Place {
  /// `None`: all are taken.
  fn take(waiting: &Arc<AtomicUsize>) -> Option<Self> {
    let one_more = |count| (count < SNAPSHOTS).then_some(count + 1);
    waiting
      .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
      .ok()?;
    Some(Self(waiting.clone()))
  }
}

impl Drop for Place {
  fn drop(&mut self) {
    self.0.fetch_sub(1, Ordering::Relaxed);
  }
}

impl Pool {
  /// # Errors
  /// The file can't be opened once more.
  pub(crate) fn open(path: PathBuf, options: &SqliteOptions) -> rusqlite::Result<Self> {
    let pool = Self {
      path,
      options: options.clone(),
      state: Mutex::default(),
      waiting: Arc::default(),
    };
    // The first read is usually one that nobody wants to wait for.
    let first = pool.connect()?;
    lock(&pool.state).idle.push(first);
    Ok(pool)
  }

  fn connect(&self) -> rusqlite::Result<PooledConnection> {
    let connection = connect::reader(&self.path, &self.options)?;
    Ok(PooledConnection::new(connection, self.options.wal_index))
  }

  pub(crate) fn path(&self) -> &Path {
    &self.path
  }

  /// Reads on a connection that nobody else is reading with. `keep` is called if `evict` has to be called from now on.
  pub(crate) fn read<T>(
    &self,
    now_ms: u64,
    keep: impl FnOnce(),
    read: impl FnOnce(&Connection) -> Result<T, ReadError>,
  ) -> Result<T, ReadError> {
    let (mut reader, epoch) = self.take()?;
    reader.prepare(now_ms, epoch)?;
    let found = match read(&reader.connection) {
      Ok(found) => found,
      Err(error) => {
        // The first error is the one that is told. A connection that can't be used is closed.
        if reader.release().is_ok() {
          let _ = self.put_back(reader);
        }
        return Err(error);
      }
    };
    if self.put_back(reader)? {
      keep();
    }
    Ok(found)
  }

  /// The same with a snapshot of its own: the read may take long, or wait.
  pub(crate) fn read_alone<T>(
    &self,
    read: impl FnOnce(&Connection) -> Result<T, ReadError>,
  ) -> Result<T, ReadError> {
    let (mut reader, _) = self.take()?;
    reader.release()?;
    let result = read(&reader.connection);
    self.put_back(reader)?;
    result
  }

  /// A snapshot of the file as it is now, to be read later and on another thread. `None`: too many are waiting.
  pub(crate) fn snapshot(&self) -> rusqlite::Result<Option<Snapshot>> {
    let Some(place) = Place::take(&self.waiting) else {
      return Ok(None);
    };
    let (mut reader, _) = self.take()?;
    reader.release()?;
    reader.connection.prepare_cached("BEGIN")?.execute([])?;
    // BEGIN alone takes none.
    let found = reader.connection.prepare_cached(TAKE_SNAPSHOT)?.exists([]);
    if let Err(error) = found {
      reader.end_snapshot()?;
      self.put_back(reader)?;
      return Err(error);
    }
    Ok(Some(Snapshot {
      reader,
      _place: place,
    }))
  }

  /// Reads from a snapshot, and releases it.
  pub(crate) fn read_from<T>(
    &self,
    snapshot: Snapshot,
    read: impl FnOnce(&Connection) -> Result<T, ReadError>,
  ) -> Result<T, ReadError> {
    let Snapshot { reader, _place } = snapshot;
    let result = read(&reader.connection);
    // A connection that can't be used any more is closed; the read has its own error.
    if reader.end_snapshot().is_ok() {
      let _ = self.put_back(reader);
    }
    result
  }

  fn take(&self) -> rusqlite::Result<(PooledConnection, u64)> {
    let mut state = lock(&self.state);
    let (idle, epoch) = (state.idle.pop(), state.epoch);
    drop(state);
    let reader = match idle {
      Some(reader) => reader,
      None => self.connect()?,
    };
    Ok((reader, epoch))
  }

  /// Whether `evict` has to be called from now on.
  fn put_back(&self, mut reader: PooledConnection) -> rusqlite::Result<bool> {
    let mut state = lock(&self.state);
    if state.idle.len() >= IDLE {
      return Ok(false);
    }
    let kept = reader.kept.as_ref();
    // Under the lock: `release` does not see the connections that are being read.
    if kept.is_some_and(|kept| kept.epoch != state.epoch) {
      reader.release()?;
    }
    let starts = reader.kept.is_some() && !state.is_evicting;
    state.is_evicting |= starts;
    state.idle.push(reader);
    Ok(starts)
  }

  /// Releases all snapshots: before a commit, so that the log can start over.
  pub(crate) fn release(&self) {
    let mut state = lock(&self.state);
    state.epoch += 1;
    state.idle.retain_mut(|reader| reader.release().is_ok());
  }

  /// Releases the snapshots that were not used lately. False: there is none left to evict.
  pub(crate) fn evict(&self) -> bool {
    let mut state = lock(&self.state);
    if !state.is_evicting {
      return false;
    }
    state.idle.retain_mut(|reader| match &mut reader.kept {
      Some(kept) if kept.is_used => {
        kept.is_used = false;
        true
      }
      _ => reader.release().is_ok(),
    });
    // One that is being read comes back, and asks again.
    state.is_evicting = state.idle.iter().any(|reader| reader.kept.is_some());
    state.is_evicting
  }

  /// How many connections are idle, and how many bytes their page caches hold.
  pub(crate) fn idle(&self) -> (usize, u64) {
    let state = lock(&self.state);
    let caches = state
      .idle
      .iter()
      .map(|reader| cache_bytes(&reader.connection));
    (state.idle.len(), caches.sum())
  }

  /// Closes the connections that nobody is reading with.
  pub(crate) fn close(&self) {
    lock(&self.state).idle.clear();
  }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
