//! The pages of a file that SQLite gets from a map.
//!
//! Only leaves: SQLite keeps a page that it reads by itself in its cache, and the inner pages of the tree are
//! worth that. A leaf would push them out, and be gone before it is wanted again.
//!
//! SQLite gets a copy, always in the same place, which the processor has in its cache. It trusts a page to
//! stay as it is while it looks at it, and what others do to the file is in their hands.

use rusqlite::ffi;

use super::map::Map;
use crate::store::sqlite::connect;

/// So many fetches that a map could have served make one, or a new one of a file that has grown: a script
/// that reads a few keys needs none.
const MISSES: u32 = 256;

/// A file of this size, in bytes, fits into SQLite's own cache, or nearly.
const SMALL: usize = connect::PAGE_CACHE as usize;

/// The first byte of a leaf of a table WITHOUT ROWID. <https://sqlite.org/fileformat.html#b_tree_pages>
const LEAF: u8 = 10;

/// How many bytes SQLite may look at behind a page whose contents are damaged.
const BEHIND: usize = 256;

/// A map of a file, and the page of it that SQLite is looking at.
#[derive(Default)]
pub(super) struct Pages {
  /// How many bytes to map at most. Zero once the map has failed.
  limit: u64,
  map: Option<Map>,
  misses: u32,
  /// For each page a bit: it was no leaf when it was last seen. If it is one now, SQLite reads it by itself.
  others: Vec<u64>,
  /// The page that is lent, in words for the sake of its alignment.
  copy: Vec<u64>,
  lent: bool,
}

impl Pages {
  pub(super) fn limit(&self) -> u64 {
    self.limit
  }

  pub(super) fn set_limit(&mut self, limit: u64) {
    if limit != self.limit {
      self.limit = limit;
      self.map = None;
    }
  }

  /// A copy of `len` bytes, which may be read until [`take_back`](Self::take_back). Null: SQLite has to read
  /// them by itself.
  ///
  /// # Safety
  /// `file` is open, with these functions, and this thread alone uses it and this.
  pub(super) unsafe fn lend(
    &mut self,
    offset: usize,
    len: usize,
    file: *mut ffi::sqlite3_file,
    methods: &ffi::sqlite3_io_methods,
  ) -> *mut u8 {
    if self.lent || self.limit == 0 || len == 0 {
      return std::ptr::null_mut();
    }
    let Some(map) = self.map.as_ref().filter(|map| map.has(offset, len)) else {
      // SAFETY: the caller's promise.
      unsafe { self.miss(len, file, methods) };
      return std::ptr::null_mut();
    };
    let page = offset / len;
    let (word, bit) = (page / 64, 1 << (page % 64));
    if self.others.get(word).is_none_or(|bits| bits & bit != 0) {
      return std::ptr::null_mut();
    }
    if self.copy.len() * size_of::<u64>() < len + BEHIND {
      self.copy = vec![0; (len + BEHIND) / size_of::<u64>() + 1];
    }
    let copy = self.copy.as_mut_ptr().cast::<u8>();
    // SAFETY: without `guard::install` there are no files with pages; the copy has room for `len` bytes.
    if !unsafe { map.copy(offset, copy, len) } {
      // The system can say what is wrong with the file, and what it has now. Whether a map is worth its
      // while again nobody knows.
      self.limit = 0;
      self.map = None;
      return std::ptr::null_mut();
    }
    // SAFETY: the copy has a first byte.
    if unsafe { copy.read() } != LEAF {
      if let Some(bits) = self.others.get_mut(word) {
        *bits |= bit;
      }
      return std::ptr::null_mut();
    }
    self.lent = true;
    copy
  }

  /// Counts a page that no map has, and makes a map if that is worth it.
  ///
  /// # Safety
  /// As for [`lend`](Self::lend).
  unsafe fn miss(
    &mut self,
    page_bytes: usize,
    file: *mut ffi::sqlite3_file,
    methods: &ffi::sqlite3_io_methods,
  ) {
    self.misses += 1;
    if self.misses < MISSES {
      return;
    }
    self.misses = 0;
    // The one there is will do, unless the file has grown.
    let least = self.map.as_ref().map_or(SMALL, Map::len);
    // SAFETY: the caller's promise. SQLite has no map of its own, since nobody has told it to make one.
    if let Some(map) = unsafe { Map::new(file, methods, least, self.limit) } {
      self.others = vec![0; map.len() / page_bytes / 64 + 1];
      self.map = Some(map);
    }
  }

  pub(super) fn take_back(&mut self) {
    self.lent = false;
  }
}
