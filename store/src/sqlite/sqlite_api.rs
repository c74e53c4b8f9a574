//! What rusqlite has no function for: files that SQLite has open, its data version, the size of a cache.
//!
//! The files are reached through SQLite and not by their names: a name may lead to another file by now, with other
//! locks, if somebody has deleted the database and made a new one.

use std::os::raw::{c_int, c_uint, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

/// A file of a connection with its methods; `which` is `SQLITE_FCNTL_FILE_POINTER` or
/// `SQLITE_FCNTL_JOURNAL_POINTER`. The file is SQLite's, and open as long as the connection is, or for the
/// log, in WAL mode.
pub(crate) fn file(
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

/// SQLite's data version of a connection, as of its last transaction: it changes with every commit of the connection
/// itself, and with the first transaction after a commit of any other connection, in whatever process. `None`: SQLite
/// can't tell.
pub(crate) fn data_version(connection: &Connection) -> Option<u32> {
  let mut version: c_uint = 0;
  // SAFETY: the handle is that of an open connection, which this thread uses alone: it is borrowed, and not
  // `Sync`. The call writes an unsigned integer to where the last argument points, as documented, and "main"
  // is a C string.
  let code = unsafe {
    ffi::sqlite3_file_control(
      connection.handle(),
      c"main".as_ptr(),
      ffi::SQLITE_FCNTL_DATA_VERSION,
      ptr::from_mut(&mut version).cast::<c_void>(),
    )
  };
  (code == ffi::SQLITE_OK).then_some(version)
}

/// Bytes that the page cache of a connection holds. 0: SQLite can't tell.
pub(crate) fn cache_bytes(connection: &Connection) -> u64 {
  let (mut current, mut highest) = (0, 0);
  // SAFETY: the handle is that of an open connection, which this thread uses alone: it is borrowed, and not
  // `Sync`. The call writes two integers to where the arguments point, as documented.
  let code = unsafe {
    ffi::sqlite3_db_status(
      connection.handle(),
      ffi::SQLITE_DBSTATUS_CACHE_USED,
      &raw mut current,
      &raw mut highest,
      0,
    )
  };
  if code == ffi::SQLITE_OK {
    u64::try_from(current).unwrap_or(0)
  } else {
    0
  }
}
