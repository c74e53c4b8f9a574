//! The WAL index: shared memory in which SQLite describes the log to all processes that have the file open. It tells
//! without a system call whether anybody has committed.
//!
//! Every commit replaces the header, the copy at the front last, before the commit is answered. The layout is SQLite's
//! (<https://sqlite.org/walformat.html#the_wal_index_header>), and so are the names here. It is no stable interface:
//! an index of another version than [`VERSION`] is not read, and callers do without.

use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rusqlite::{Connection, ffi};

use crate::sqlite::sqlite_api;

/// `iVersion` of the one layout there has been since SQLite 3.7.0.
const VERSION: u32 = 3_007_000;

/// Words of the header's first copy, and where the fields are in it.
const HEADER_WORDS: usize = 12;
const I_VERSION: usize = 0;
const I_CHANGE: usize = 2;
const MX_FRAME: usize = 4;
/// Behind both copies of the header.
const N_BACKFILL: usize = 24;

/// SQLite maps the index in regions of this size; all that is read here is in the first.
const REGION_BYTES: c_int = 32 << 10;

/// The header of the index at some time. One that was read while SQLite replaced it differs from every later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalIndex {
  header: [u32; HEADER_WORDS],
  is_backfilled: bool,
}

impl WalIndex {
  /// `iChange`: how many commits there were, of all processes, modulo 2^32. It starts over when the index is rebuilt.
  pub(crate) fn i_change(self) -> u32 {
    self.header[I_CHANGE]
  }

  /// Whether `nBackfill` equals `mxFrame`: all of the log is in the database file as well. A snapshot taken now needs
  /// no frame of the log, and does not keep it from starting over.
  pub(crate) fn is_backfilled(self) -> bool {
    self.is_backfilled
  }

  /// The index as it is now. `None`: the file is not in WAL mode, or its index has another layout.
  ///
  /// `connection` must have read its file: otherwise SQLite has not mapped the index.
  fn read(connection: &Connection) -> Option<Self> {
    // There is no other way to this memory: SQLite has mapped it.
    let (file, methods) = sqlite_api::file(connection, ffi::SQLITE_FCNTL_FILE_POINTER)?;
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
    let index = Self {
      is_backfilled: word(N_BACKFILL) == header[MX_FRAME],
      header,
    };
    // What is read next is not older than the header.
    fence(Ordering::Acquire);
    (header[I_VERSION] == VERSION).then_some(index)
  }
}

/// Reads the index of one connection's file, where there is one and it may be read.
pub(crate) struct IndexReader {
  /// `None` before the first read.
  is_readable: Option<bool>,
}

impl IndexReader {
  /// `is_allowed` is [`SqliteOptions::wal_index`](crate::sqlite::SqliteOptions::wal_index).
  pub(crate) fn new(is_allowed: bool) -> Self {
    Self {
      is_readable: (!is_allowed).then_some(false),
    }
  }

  /// The index as it is now; `connection` must have read its file. `None`: there is none that can be read.
  pub(crate) fn read(&mut self, connection: &Connection) -> Option<WalIndex> {
    // Outside WAL mode, SQLite would make an index.
    if *self.is_readable.get_or_insert_with(|| is_wal(connection)) {
      WalIndex::read(connection)
    } else {
      None
    }
  }
}

/// Whether the file is in WAL mode. It always is, but on file systems that have no shared memory.
fn is_wal(connection: &Connection) -> bool {
  let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
  mode.is_ok_and(|mode| mode == "wal")
}

#[cfg(test)]
mod tests {
  use std::time::Duration;

  use super::*;
  use crate::sqlite::file::connect;
  use crate::sqlite::options::SqliteOptions;

  #[test]
  fn changes_with_every_commit_only() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let options = SqliteOptions::default();
    let writer = connect::writer(&path, &options, Duration::ZERO)
      .unwrap()
      .connection;
    let other = Connection::open(&path).unwrap();
    let reader = connect::reader(&path, &options).unwrap();
    let count = |connection: &Connection| -> i64 {
      let sql = "SELECT version FROM data_version WHERE k = 0";
      connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    count(&reader);
    let mut before = WalIndex::read(&reader).unwrap();
    for connection in [&writer, &other, &writer] {
      assert_eq!(WalIndex::read(&reader), Some(before));
      let sql = "UPDATE data_version SET version = version + 1";
      connection.execute(sql, []).unwrap();
      let after = WalIndex::read(&reader).unwrap();
      assert_ne!(after, before);
      before = after;
    }
    // Reads, and what is rolled back.
    count(&reader);
    writer
      .execute_batch("BEGIN IMMEDIATE; UPDATE data_version SET version = 0; ROLLBACK")
      .unwrap();
    assert_eq!(WalIndex::read(&reader), Some(before));
    assert!(!before.is_backfilled);
    writer
      .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
      .unwrap();
    let backfilled = WalIndex {
      is_backfilled: true,
      ..before
    };
    assert_eq!(WalIndex::read(&reader), Some(backfilled));
  }

  #[cfg(unix)]
  #[test]
  fn unknown_layout_is_not_read() {
    use std::os::unix::fs::FileExt;

    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let options = SqliteOptions::default();
    let _writer = connect::writer(&path, &options, Duration::ZERO).unwrap();
    let reader = connect::reader(&path, &options).unwrap();
    let read = || reader.query_row("SELECT count(*) FROM kv", [], |_| Ok(()));
    read().unwrap();
    let mut index = IndexReader::new(true);
    assert!(index.read(&reader).is_some());
    assert!(IndexReader::new(false).read(&reader).is_none());
    // Another process, of a later SQLite, has made the index.
    let shared = std::fs::OpenOptions::new()
      .write(true)
      .open(folder.path().join("kv-shm"))
      .unwrap();
    shared
      .write_all_at(&(VERSION + 1).to_ne_bytes(), 0)
      .unwrap();
    assert!(index.read(&reader).is_none());
    shared.write_all_at(&VERSION.to_ne_bytes(), 0).unwrap();
    assert!(index.read(&reader).is_some());
  }
}
