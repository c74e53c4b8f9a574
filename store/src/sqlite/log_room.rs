//! Room in the log (the WAL), made before commits fill it.
//!
//! A commit that makes the log's file longer waits for the file system to note the new length and the
//! new blocks: two or three times what it takes to write over what is there. SQLite lengthens the file
//! by every commit until the log starts over for the first time. Here it is lengthened ahead, by zeros:
//! SQLite reads a log up to the first frame whose checksum is wrong, so what follows its end is no
//! matter to anybody, and Deno's files have the same after a log has started over.

use std::os::raw::{c_int, c_void};

use rusqlite::{Connection, ffi};

use super::file_methods;

/// How much is added at a time: as much as there is, between these, in whole `ZEROS`. A script that
/// writes little pays for little; and no commit waits for more than the second to be synced.
const LEAST_BYTES: u64 = 64 << 10;
const MOST_BYTES: u64 = 256 << 10;

/// Where less than this is left, there is to be more: that is some four commits.
const MARGIN_BYTES: u64 = 32 << 10;

/// SQLite's files take less than 128 KiB in one write.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What a frame has beside its page.
const FRAME_HEADER_BYTES: u64 = 24;

/// What is known of the room in a log.
#[derive(Default)]
pub(super) struct LogRoom {
  /// The length of the file when it was last looked at. It does not shrink, or if somebody has cut it,
  /// SQLite lengthens it itself.
  file_bytes: u64,
  page_bytes: Option<u64>,
}

impl LogRoom {
  /// To be called before a commit that is synced; `log_pages` are in the log. It makes room if there is
  /// little left. A disk that is full is no error here: the commit will meet it if it must.
  ///
  /// # Errors
  /// The write lock, which keeps other processes from lengthening the file meanwhile, is not to be had:
  /// nor would the commit have got it.
  pub(super) fn make(&mut self, connection: &Connection, log_pages: u32) -> rusqlite::Result<()> {
    // Not for the first commit: most scripts that write at all write once.
    if log_pages > 0 && self.is_scarce(connection, log_pages) {
      connection.execute_batch("BEGIN IMMEDIATE")?;
      self.file_bytes = match lengthen(connection) {
        Some(bytes) => bytes,
        // The file system has no more room, or is of a kind that can't be asked. Not again soon.
        None => self.file_bytes.saturating_add(MOST_BYTES),
      };
      // There is nothing to undo; the lock goes.
      connection.execute_batch("ROLLBACK")?;
    }
    Ok(())
  }

  fn is_scarce(&mut self, connection: &Connection, log_pages: u32) -> bool {
    let page_bytes = *self.page_bytes.get_or_insert_with(|| {
      let pragma = connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0));
      pragma.map_or(4096, i64::unsigned_abs)
    });
    let log_bytes = u64::from(log_pages) * (page_bytes + FRAME_HEADER_BYTES);
    log_bytes + MARGIN_BYTES > self.file_bytes
  }
}

/// Makes the log's file longer, if its end is near; returns its length. The caller holds the write lock.
fn lengthen(connection: &Connection) -> Option<u64> {
  // A write transaction is open: the connection is in WAL mode, and its journal is the log.
  let (file, methods) = file_methods::of(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER)?;
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
  fn there_is_room_and_a_log_with_room_reads_the_same_after_a_crash() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let connection = with_a_log(&path);
    let log = folder.path().join("kv-wal");
    let length = || std::fs::metadata(&log).unwrap().len();
    let before = length();
    let mut room = LogRoom::default();
    room.make(&connection, 0).unwrap();
    assert_eq!(length(), before);
    room.make(&connection, 2).unwrap();
    let made = length();
    assert_eq!(made, before + LEAST_BYTES);
    for _ in 0..5 {
      connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
    }
    room.make(&connection, 7).unwrap();
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
  fn the_steps_grow_and_are_made() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let connection = with_a_log(&path);
    let log = folder.path().join("kv-wal");
    let mut room = LogRoom::default();
    let mut lengths = vec![std::fs::metadata(&log).unwrap().len()];
    for pages in (2..500).step_by(2) {
      room.make(&connection, pages).unwrap();
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
  fn while_somebody_else_writes_the_file_is_left_alone() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let connection = with_a_log(&path);
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let log = folder.path().join("kv-wal");
    let before = std::fs::metadata(&log).unwrap().len();
    assert!(LogRoom::default().make(&connection, 2).is_err());
    assert_eq!(std::fs::metadata(&log).unwrap().len(), before);
  }
}
