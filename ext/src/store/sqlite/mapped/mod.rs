//! Pages of a large file without a system call for each.
//!
//! The page a point read needs is seldom in SQLite's cache once a file is much larger than that, and
//! asking the system for it takes longer than everything else in the read. So the file is mapped into
//! memory, and pages are copied from the map.
//!
//! SQLite can do that itself (`PRAGMA mmap_size`), but then whoever cuts the file short, and any disk error,
//! kills the process with SIGBUS; and it makes the map anew after every commit. Here a layer below SQLite
//! (`vfs`) copies from a map that stays (`map`), and where a copy fails (`guard`) the page is asked of the
//! system after all, which answers with an error, or with what the file now has.
//!
//! Reads of ranges don't use the map. A page has dozens of their entries, so there is little to save, and
//! who reads all of a file would have all of it in the process's resident memory.
//!
//! Only on Linux: [`map`] says why.

#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
mod map;
#[cfg(target_os = "linux")]
mod pages;
#[cfg(target_os = "linux")]
mod vfs;

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Opens a connection to a file. If it reads, [`point`] reads may copy from a map of so many bytes.
pub(super) fn open(path: &Path, flags: OpenFlags, mmap_size: u64) -> rusqlite::Result<Connection> {
  #[cfg(target_os = "linux")]
  if mmap_size > 0
    && let Some(name) = vfs::name()
  {
    let connection = Connection::open_with_flags_and_vfs(path, flags, name)?;
    let mmap_size = i64::try_from(mmap_size).unwrap_or(i64::MAX);
    connection.pragma_update(None, "mmap_size", mmap_size)?;
    return Ok(connection);
  }
  let _ = mmap_size;
  Connection::open_with_flags(path, flags)
}

/// Runs a read of few pages, which may copy them from a map.
pub(super) fn point<T>(read: impl FnOnce() -> T) -> T {
  #[cfg(target_os = "linux")]
  return vfs::point(read);
  #[cfg(not(target_os = "linux"))]
  read()
}
