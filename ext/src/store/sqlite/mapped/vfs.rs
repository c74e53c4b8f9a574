//! The layer below SQLite: its own, but for the leaves of a large file.
//!
//! SQLite reaches files through a table of functions, a [VFS](https://sqlite.org/vfs.html). The one here
//! opens files with the system's default, and replaces, for the database file, those by which SQLite asks
//! for a page of a map. Behind what the default keeps of an open file it has a [`Pages`].

use std::cell::Cell;
use std::ffi::CStr;
use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;

use super::guard;
use super::pages::Pages;

const NAME: &CStr = c"kv-mapped";

thread_local! {
  /// Whether the thread is doing a point read.
  static POINT: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn point<T>(read: impl FnOnce() -> T) -> T {
  struct Reset(bool);
  impl Drop for Reset {
    fn drop(&mut self) {
      POINT.set(self.0);
    }
  }
  let _reset = Reset(POINT.replace(true));
  read()
}

/// What is kept for an open database file.
struct State {
  /// The functions of the VFS below.
  base: &'static ffi::sqlite3_io_methods,
  /// The same with those in this module in place of some.
  methods: ffi::sqlite3_io_methods,
  pages: Pages,
}

/// The system's default VFS, which does everything else.
struct Below {
  vfs: *mut ffi::sqlite3_vfs,
  /// Where a [`State`] is, from the start of a file.
  state: usize,
}

// SAFETY: SQLite lets all threads use its VFS, and keeps it as long as the program runs.
unsafe impl Send for Below {}
// SAFETY: as above.
unsafe impl Sync for Below {}

static BELOW: OnceLock<Option<Below>> = OnceLock::new();

/// The name to open connections with. `None`: files can't be mapped here.
pub(super) fn name() -> Option<&'static CStr> {
  BELOW.get_or_init(register).as_ref().map(|_| NAME)
}

fn register() -> Option<Below> {
  if !guard::install() {
    return None;
  }
  // SAFETY: null asks for the default.
  let below = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
  // SAFETY: it is null or SQLite's, which keeps it and changes only a link to the next, not used here.
  let mut vfs = unsafe { below.as_ref() }.copied()?;
  let state = usize::try_from(vfs.szOsFile)
    .ok()?
    .next_multiple_of(align_of::<State>());
  vfs.zName = NAME.as_ptr();
  vfs.szOsFile = c_int::try_from(state + size_of::<State>()).ok()?;
  vfs.xOpen = Some(open);
  // SQLite's from now on.
  let vfs = Box::into_raw(Box::new(vfs));
  // SAFETY: the structure is as SQLite wants it, and never freed. It does not become the default.
  let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
  (code == ffi::SQLITE_OK).then_some(Below { vfs: below, state })
}

/// `xOpen`. <https://sqlite.org/c3ref/vfs.html>
unsafe extern "C" fn open(
  _vfs: *mut ffi::sqlite3_vfs,
  name: ffi::sqlite3_filename,
  file: *mut ffi::sqlite3_file,
  flags: c_int,
  out_flags: *mut c_int,
) -> c_int {
  let Some(Some(below)) = BELOW.get() else {
    return ffi::SQLITE_CANTOPEN;
  };
  // SAFETY: as in `register`.
  let Some(base_open) = (unsafe { (*below.vfs).xOpen }) else {
    return ffi::SQLITE_CANTOPEN;
  };
  // SAFETY: SQLite's own arguments, and a file that has the room the VFS below wants, and more.
  let code = unsafe { base_open(below.vfs, name, file, flags, out_flags) };
  if code != ffi::SQLITE_OK || flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
    return code;
  }
  // SAFETY: the file was opened; the functions of a VFS live as long as the program.
  let Some(base) = (unsafe { (*file).pMethods.as_ref() }) else {
    return code;
  };
  // Before this there was nothing that could be asked for pages of a map.
  if base.iVersion < 3 {
    return code;
  }
  let methods = ffi::sqlite3_io_methods {
    xClose: Some(close),
    xFileControl: Some(control),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
    ..*base
  };
  let state = file.wrapping_byte_add(below.state).cast::<State>();
  // SAFETY: behind the file SQLite has left as much room as the VFS asks for, aligned as the file is, to
  // eight bytes, and the file stays where it is until it is closed. What was there is nothing to drop. The
  // table is read by SQLite, and not changed.
  unsafe {
    state.write(State {
      base,
      methods,
      pages: Pages::default(),
    });
    (*file).pMethods = &raw const (*state).methods;
  }
  code
}

/// The state of a file.
///
/// # Safety
/// The file was opened by [`open`], which gave it the functions of this module.
unsafe fn state_of(file: *mut ffi::sqlite3_file) -> *mut State {
  let offset = match BELOW.get() {
    Some(Some(below)) => below.state,
    // There would be no such file.
    _ => 0,
  };
  // SAFETY: that is where `open` has written it.
  unsafe { file.byte_add(offset) }.cast()
}

/// `xClose`. <https://sqlite.org/c3ref/io_methods.html>
unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
  // SAFETY: only files of `open` have this function; the file is closed once, and not used afterwards.
  let State { base, pages, .. } = unsafe { state_of(file).read() };
  drop(pages);
  match base.xClose {
    // SAFETY: SQLite's own argument.
    Some(close) => unsafe { close(file) },
    None => ffi::SQLITE_OK,
  }
}

/// `xFileControl`. The limit of the map is not for the VFS below, which would make one of its own.
unsafe extern "C" fn control(
  file: *mut ffi::sqlite3_file,
  which: c_int,
  argument: *mut c_void,
) -> c_int {
  // SAFETY: only files of `open` have this function. SQLite uses a file in one thread at a time, and is in
  // no other call of its functions.
  let state = unsafe { &mut *state_of(file) };
  if which == ffi::SQLITE_FCNTL_MMAP_SIZE {
    // SAFETY: the argument of this control is an integer: a limit to set, unless it is negative, in whose
    // place goes the limit so far.
    let limit = unsafe { &mut *argument.cast::<i64>() };
    let before = state.pages.limit();
    if let Ok(limit) = u64::try_from(*limit) {
      state.pages.set_limit(limit);
    }
    *limit = i64::try_from(before).unwrap_or(i64::MAX);
    return ffi::SQLITE_OK;
  }
  match state.base.xFileControl {
    // SAFETY: SQLite's own arguments.
    Some(control) => unsafe { control(file, which, argument) },
    None => ffi::SQLITE_NOTFOUND,
  }
}

/// `xFetch`: a page, to be read until it is given back. Null: SQLite has to read it by itself.
unsafe extern "C" fn fetch(
  file: *mut ffi::sqlite3_file,
  offset: ffi::sqlite3_int64,
  amount: c_int,
  page: *mut *mut c_void,
) -> c_int {
  let mut found = ptr::null_mut();
  if POINT.get()
    && let (Ok(offset), Ok(amount)) = (usize::try_from(offset), usize::try_from(amount))
  {
    // SAFETY: as in `control`.
    let state = unsafe { &mut *state_of(file) };
    // SAFETY: the file is open, with these functions below, and this thread alone uses it.
    found = unsafe { state.pages.lend(offset, amount, file, state.base) };
  }
  // SAFETY: SQLite has room for a pointer there.
  unsafe { page.write(found.cast()) };
  ffi::SQLITE_OK
}

/// `xUnfetch`: gives a page back. With null SQLite says that a map may not be what the file is: but this one
/// is, for Linux keeps them the same.
unsafe extern "C" fn unfetch(
  file: *mut ffi::sqlite3_file,
  _offset: ffi::sqlite3_int64,
  page: *mut c_void,
) -> c_int {
  if !page.is_null() {
    // SAFETY: as in `control`.
    let state = unsafe { &mut *state_of(file) };
    state.pages.take_back();
  }
  ffi::SQLITE_OK
}
