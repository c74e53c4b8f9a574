//! A file that SQLite has open, mapped into memory.
//!
//! To map a file takes a descriptor of it, and SQLite shows its own to nobody. Opening the file once more is
//! no way: POSIX gives up all locks that a process has on a file when any descriptor of it is closed, and by
//! its name it may be another file by now. But SQLite maps the file's first bytes if it is told to, and Linux
//! makes a second map, as long as one likes, of what has been mapped once: `mremap` from a length of zero
//! (see its manual page). So there is one more map, of the very file that SQLite has open, and none of
//! SQLite's own.

use std::os::raw::c_void;
use std::ptr::{self, NonNull};

use rusqlite::ffi;

use super::guard;

/// Enough for SQLite to hand out the first byte of its map: it keeps 256 bytes behind it.
const FIRST_BYTES: i64 = 4096;

/// The first bytes of a file, as many as it had when it was mapped.
pub(super) struct Map {
  start: NonNull<u8>,
  len: usize,
}

impl Map {
  /// Maps `file`, but not more than `limit` bytes. `None`: it has no more than `least`, or can't be mapped.
  ///
  /// # Safety
  /// The file is open, this thread alone uses it, and nobody has a part of SQLite's own map of it. The
  /// methods are those it was opened with.
  pub(super) unsafe fn new(
    file: *mut ffi::sqlite3_file,
    methods: &ffi::sqlite3_io_methods,
    least: usize,
    limit: u64,
  ) -> Option<Self> {
    if methods.iVersion < 3 {
      return None;
    }
    let (size, fetch, unfetch) = (methods.xFileSize?, methods.xFetch?, methods.xUnfetch?);
    let control = methods.xFileControl?;
    let set_limit = |mut bytes: i64| {
      let argument = ptr::from_mut(&mut bytes).cast::<c_void>();
      // SAFETY: this control reads and writes an integer of that size.
      unsafe { control(file, ffi::SQLITE_FCNTL_MMAP_SIZE, argument) }
    };
    let mut bytes = 0;
    // SAFETY: the method writes the file's length to the integer.
    if unsafe { size(file, &mut bytes) } != ffi::SQLITE_OK {
      return None;
    }
    let len = usize::try_from(u64::try_from(bytes).ok()?.min(limit)).ok()?;
    if len <= least {
      return None;
    }
    if set_limit(FIRST_BYTES) != ffi::SQLITE_OK {
      return None;
    }
    let mut first: *mut c_void = ptr::null_mut();
    // SAFETY: the method writes an address to the pointer, or null.
    let code = unsafe { fetch(file, 0, 1, &mut first) };
    let mut copy = libc::MAP_FAILED;
    if code == ffi::SQLITE_OK && !first.is_null() {
      // SAFETY: `first` is the start of a shared map of a file. It stays as it is, and the new map is where
      // nothing else is.
      copy = unsafe { libc::mremap(first, 0, len, libc::MREMAP_MAYMOVE) };
      // SAFETY: what the method handed out is given back.
      unsafe { unfetch(file, 0, first) };
    }
    // SQLite gives its map up, and copies from none when it reads.
    set_limit(0);
    if copy == libc::MAP_FAILED {
      return None;
    }
    let start = NonNull::new(copy.cast::<u8>())?;
    // As reads by the system do, and failing would change nothing but the speed.
    // SAFETY: the map is this one's own.
    unsafe { libc::madvise(copy, len, libc::MADV_RANDOM) };
    Some(Self { start, len })
  }

  pub(super) fn len(&self) -> usize {
    self.len
  }

  /// Whether all of these bytes are in the map.
  pub(super) fn has(&self, offset: usize, len: usize) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= self.len)
  }

  /// Copies bytes that the map [has](Self::has). False: they could not be had, and the map is not what the
  /// file has any more.
  ///
  /// # Safety
  /// [`guard::install`] has returned true, and `len` bytes from `target` on may be written.
  pub(super) unsafe fn copy(&self, offset: usize, target: *mut u8, len: usize) -> bool {
    // SAFETY: the bytes are in the map, which is borrowed, and not `Sync`: this thread alone uses it. The
    // rest is the caller's promise; nobody else has got the map's address to have a target in it.
    unsafe { guard::copy(self.start.as_ptr().add(offset), target, len) }
  }
}

impl Drop for Map {
  fn drop(&mut self) {
    // SAFETY: the map is this one's own, and nothing of it has been handed out.
    unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
  }
}
