//! What the index of the log tells without a system call: whether anybody has committed.
//!
//! All who have a file open share the index in memory. Its header holds a counter, the length and the
//! checksums of the log, and every commit replaces it, the copy at the front last, before it is answered
//! (<https://sqlite.org/walformat.html#the_wal_index_header>).

use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rusqlite::{Connection, ffi};

use super::file_methods;

/// Of the header's copy at the front.
const HEADER_WORDS: usize = 12;
/// Where the header has the number of commits, of all processes.
const COMMITS: usize = 2;
/// Where the header has the number of frames in the log.
const FRAMES: usize = 4;
/// Behind both copies of the header: how many frames are in the database file as well.
const MOVED: usize = 24;

/// What SQLite calls a region of the index: all this is in the first.
const REGION_BYTES: c_int = 32 << 10;

/// The log at some time. A header that was read while it was being replaced is equal to none that comes
/// later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogState {
  header: [u32; HEADER_WORDS],
  moved: bool,
}

/// Whether the file has a log: it has, but on file systems that can't have it.
pub(super) fn is_wal(connection: &Connection) -> bool {
  let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
  mode.is_ok_and(|mode| mode == "wal")
}

impl LogState {
  /// How many commits there were, modulo 2^32. It starts over with the index.
  pub(super) fn commits(self) -> u32 {
    self.header[COMMITS]
  }

  /// Whether all of the log is in the database file as well. Who takes a snapshot then needs no frame of the
  /// log, and does not keep it from starting over.
  pub(super) fn all_moved(self) -> bool {
    self.moved
  }

  /// The log as it is now. `None`: there is no way to tell.
  ///
  /// To be asked only of a connection that has read its file in WAL mode: of any other, SQLite would make
  /// an index.
  pub(super) fn now(connection: &Connection) -> Option<Self> {
    // There is no other way to this memory: SQLite has mapped it.
    let (file, methods) = file_methods::of(connection, ffi::SQLITE_FCNTL_FILE_POINTER)?;
    // Only the second version of the table has it.
    let map = methods.xShmMap.filter(|_| methods.iVersion >= 2)?;
    let mut region: *mut c_void = ptr::null_mut();
    // SAFETY: the method is the file's own, and may be called by whoever may use the file. It is asked for
    // a region that the connection has used, not to make one, and writes its address to where the last
    // argument points.
    let code = unsafe { map(file, 0, REGION_BYTES, 0, &mut region) };
    if code != ffi::SQLITE_OK || region.is_null() {
      return None;
    }
    let words = region.cast::<AtomicU32>();
    // SAFETY: the region has 32 KiB, is aligned as a page, and stays where it is until the connection leaves
    // WAL mode, which it does not during this call. Others write to it at any time: every access here is
    // atomic, and any value is a valid one.
    let word = |index: usize| unsafe { &*words.add(index) }.load(Ordering::Relaxed);
    let header: [u32; HEADER_WORDS] = std::array::from_fn(word);
    let state = Self {
      moved: word(MOVED) == header[FRAMES],
      header,
    };
    // What is read next is not older than the state.
    fence(Ordering::Acquire);
    Some(state)
  }
}

#[cfg(test)]
mod tests {
  use std::time::Duration;

  use super::*;
  use crate::sqlite::connect;

  #[test]
  fn every_commit_of_anybody_changes_it_and_nothing_else_does() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let writer = connect::writer(&path, Duration::ZERO).unwrap().connection;
    let other = Connection::open(&path).unwrap();
    let reader = connect::reader(&path, connect::PAGE_CACHE, 0).unwrap();
    let count = |connection: &Connection| -> i64 {
      let sql = "SELECT version FROM data_version WHERE k = 0";
      connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    count(&reader);
    let mut before = LogState::now(&reader).unwrap();
    for connection in [&writer, &other, &writer] {
      assert_eq!(LogState::now(&reader), Some(before));
      let sql = "UPDATE data_version SET version = version + 1";
      connection.execute(sql, []).unwrap();
      let after = LogState::now(&reader).unwrap();
      assert_ne!(after, before);
      before = after;
    }
    // Reads, and what is rolled back.
    count(&reader);
    writer
      .execute_batch("BEGIN IMMEDIATE; UPDATE data_version SET version = 0; ROLLBACK")
      .unwrap();
    assert_eq!(LogState::now(&reader), Some(before));
    assert!(!before.moved);
    writer
      .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
      .unwrap();
    let moved = LogState {
      moved: true,
      ..before
    };
    assert_eq!(LogState::now(&reader), Some(moved));
  }
}
