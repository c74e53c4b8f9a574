//! WAL preallocation: room in the log's file, made before commits fill it.
//!
//! A commit that makes the file longer waits for the file system to note the new length and the new blocks: two or
//! three times what it takes to overwrite. SQLite lengthens the file with every commit until the log starts over for
//! the first time. Here zeros lengthen it ahead: SQLite reads a log up to the first frame with a wrong checksum, so
//! nothing behind its end matters, and Deno's files have the same after a log has started over.

use std::os::raw::{c_int, c_void};

use rusqlite::{Connection, ffi};

use crate::sqlite::sqlite_api;

/// The file grows by as much as there is, within these bounds, in whole [`ZEROS`]: a script that writes little pays
/// for little, and no commit waits for more than the second to be synced.
const LEAST_BYTES: u64 = 64 << 10;
const MOST_BYTES: u64 = 256 << 10;

/// The file grows when less than this is left: some four commits.
const MARGIN_BYTES: u64 = 32 << 10;

/// SQLite's files take less than 128 KiB in one write.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What a frame has beside its page.
const FRAME_HEADER_BYTES: u64 = 24;

/// How far the log's file is known to be allocated.
#[derive(Default)]
pub(crate) struct Preallocation {
  /// The length of the file when it was last looked at. It does not shrink, or if somebody has cut it,
  /// SQLite lengthens it itself.
  file_bytes: u64,
  page_bytes: Option<u64>,
}

impl Preallocation {
  /// Makes room if little is left; `log_pages` are in the log. Called before a commit that is synced. A full disk is
  /// no error here: the commit meets it if it must.
  ///
  /// # Errors
  /// Another process holds the write lock, which keeps others from lengthening the file meanwhile: the commit would
  /// not have got it either.
  pub(crate) fn extend(&mut self, connection: &Connection, log_pages: u32) -> rusqlite::Result<()> {
    // Not for the first commit: most scripts that write at all write once.
    if log_pages > 0 && self.is_scarce(connection, log_pages) {
      connection.execute_batch("BEGIN IMMEDIATE")?;
      self.file_bytes = match lengthen(connection) {
        Some(bytes) => bytes,
        // The file system has no room left, or is of a kind that can't be asked. Not again soon.
        None => self.file_bytes.saturating_add(MOST_BYTES),
      };
      // There is nothing to undo; this releases the lock.
      connection.execute_batch("ROLLBACK")?;
    }
    Ok(())
  }

  fn is_scarce(&mut self, connection: &Connection, log_pages: u32) -> bool {
    self.log_bytes(connection, log_pages) + MARGIN_BYTES > self.file_bytes
  }

  /// How many bytes so many pages of the log take.
  pub(crate) fn log_bytes(&mut self, connection: &Connection, log_pages: u32) -> u64 {
    let page_bytes = *self.page_bytes.get_or_insert_with(|| {
      let pragma = connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0));
      pragma.map_or(4096, i64::unsigned_abs)
    });
    u64::from(log_pages) * (page_bytes + FRAME_HEADER_BYTES)
  }
}

/// Lengthens the log's file; returns its new length. The caller holds the write lock.
fn lengthen(connection: &Connection) -> Option<u64> {
  // A write transaction is open: the connection is in WAL mode, and its journal is the log.
  let (file, methods) = sqlite_api::file(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER)?;
  let (size, write, truncate) = (methods.xFileSize?, methods.xWrite?, methods.xTruncate?);

  let mut bytes: ffi::sqlite3_int64 = 0;
  // SAFETY: the method is the file's own, and writes a number to where the second argument points.
  if unsafe { size(file, &mut bytes) } != ffi::SQLITE_OK {
    return None;
  }
  let length = u64::try_from(bytes).ok()?;
  let wanted = length.clamp(LEAST_BYTES, MOST_BYTES);
  let mut end = bytes;
  for _ in 0..wanted / LEAST_BYTES {
    // SAFETY: the method is the file's own; it reads as many bytes as `ZEROS` has. They go behind the
    // end of the file, where SQLite has written nothing, and nobody else writes there: this connection
    // has the write lock.
    let code = unsafe {
      write(
        file,
        ZEROS.as_ptr().cast::<c_void>(),
        ZEROS.len() as c_int,
        end,
      )
    };
    if code != ffi::SQLITE_OK {
      // A part may have been written, on a disk that is full now.
      // SAFETY: as above; the file gets the length it had.
      unsafe { truncate(file, bytes) };
      return None;
    }
    end += ZEROS.len() as ffi::sqlite3_int64;
  }
  u64::try_from(end).ok()
}

#[cfg(test)]
mod tests {
  use super::*;

  /// A new file, and what its log holds: two pages.
  fn with_a_log(path: &std::path::Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
      .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x)")
      .unwrap();
    connection
  }

  fn rows(path: &std::path::Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection
      .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
      .unwrap()
  }

  #[test]
  fn preallocated_log_survives_a_crash() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let connection = with_a_log(&path);
    let log = folder.path().join("kv-wal");
    let length = || std::fs::metadata(&log).unwrap().len();
    let before = length();
    let mut room = Preallocation::default();
    room.extend(&connection, 0).unwrap();
    assert_eq!(length(), before);
    room.extend(&connection, 2).unwrap();
    let made = length();
    assert_eq!(made, before + LEAST_BYTES);
    for _ in 0..5 {
      connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
    }
    room.extend(&connection, 7).unwrap();
    // They went into the room, and there was enough.
    assert_eq!(length(), made);

    // What a crash leaves, with the room behind the log's end.
    let copy = folder.path().join("copy");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(&log, folder.path().join("copy-wal")).unwrap();
    assert_eq!(rows(&copy), 5);
    let integrity: String = Connection::open(&copy)
      .unwrap()
      .query_row("PRAGMA integrity_check", [], |row| row.get(0))
      .unwrap();
    assert_eq!(integrity, "ok");
    // Another connection, which may be another process, goes on where the log ends.
    Connection::open(&path)
      .unwrap()
      .execute("INSERT INTO t VALUES (2)", [])
      .unwrap();
    assert_eq!(rows(&path), 6);
  }

  #[test]
  fn steps_grow() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let connection = with_a_log(&path);
    let log = folder.path().join("kv-wal");
    let mut room = Preallocation::default();
    let mut lengths = vec![std::fs::metadata(&log).unwrap().len()];
    for pages in (2..500).step_by(2) {
      room.extend(&connection, pages).unwrap();
      let length = std::fs::metadata(&log).unwrap().len();
      assert!(length >= u64::from(pages) * 4120);
      if lengths.last() != Some(&length) {
        lengths.push(length);
      }
    }
    let steps: Vec<u64> = lengths.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.is_sorted() && steps.len() < 15, "{steps:?}");
    assert_eq!(steps.last(), Some(&MOST_BYTES));
  }

  #[test]
  fn leaves_the_file_alone_while_another_writes() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let connection = with_a_log(&path);
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let log = folder.path().join("kv-wal");
    let before = std::fs::metadata(&log).unwrap().len();
    assert!(Preallocation::default().extend(&connection, 2).is_err());
    assert_eq!(std::fs::metadata(&log).unwrap().len(), before);
  }
}
