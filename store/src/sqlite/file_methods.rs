//! The files that SQLite has open, for what it has no function for.
//!
//! Not by their names: those may be other files' by now, with other locks, if somebody has deleted the
//! database and made a new one. Only SQLite knows the files it has open.

use std::os::raw::{c_int, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

/// A file of a connection, and what can be done with it; `which` is `SQLITE_FCNTL_FILE_POINTER` or
/// `SQLITE_FCNTL_JOURNAL_POINTER`. The file is SQLite's, and open as long as the connection is, or for the
/// log, in WAL mode.
pub(super) fn of(
  connection: &Connection,
  which: c_int,
) -> Option<(*mut ffi::sqlite3_file, &ffi::sqlite3_io_methods)> {
  let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
  // SAFETY: the handle is that of an open connection, which this thread uses alone: it is borrowed, and
  // not `Sync`. For both values of `which` the call writes one pointer to where the last argument points,
  // as documented, and "main" is a C string.
  let code = unsafe {
    ffi::sqlite3_file_control(
      connection.handle(),
      c"main".as_ptr(),
      which,
      ptr::from_mut(&mut file).cast::<c_void>(),
    )
  };
  if code != ffi::SQLITE_OK || file.is_null() {
    return None;
  }
  // SAFETY: SQLite owns the file, and has it open as long as the connection is borrowed. `pMethods` is null
  // or points to a table that lives longer than the file is open.
  let methods = unsafe { (*file).pMethods.as_ref() }?;
  Some((file, methods))
}
