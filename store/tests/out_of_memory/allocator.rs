//! SQLite's allocator, which fails when it is told to. SQLite has no safe interface for that.

use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::ffi;

type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;

/// SQLite's own.
static REAL: OnceLock<(Malloc, Realloc)> = OnceLock::new();
static CALLS: AtomicU64 = AtomicU64::new(0);
static FAILS_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static FOR_EVER: AtomicBool = AtomicBool::new(false);

/// Puts itself between SQLite and its allocator. To be called before anything else of SQLite.
pub fn install() {
  // SAFETY: all zero is a valid value: functions that are missing and a null pointer.
  let mut methods: ffi::sqlite3_mem_methods = unsafe { std::mem::zeroed() };
  // SAFETY: SQLite is not in use yet, and fills in the structure that the pointer leads to.
  let found =
    unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, ptr::from_mut(&mut methods)) };
  assert_eq!(found, ffi::SQLITE_OK);
  let real = methods.xMalloc.zip(methods.xRealloc);
  assert!(real.is_some_and(|real| REAL.set(real).is_ok()));
  methods.xMalloc = Some(malloc);
  methods.xRealloc = Some(realloc);
  // SAFETY: SQLite is not in use yet, and copies the structure, whose functions live for ever.
  let set = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, ptr::from_mut(&mut methods)) };
  assert_eq!(set, ffi::SQLITE_OK);
}

/// From now on the `at`-th call fails, and those after it as well if it is `for_ever`.
pub fn fail_at(at: u64, for_ever: bool) {
  FOR_EVER.store(for_ever, Ordering::SeqCst);
  CALLS.store(0, Ordering::SeqCst);
  FAILS_AT.store(at, Ordering::SeqCst);
}

/// No call fails any more. Returns whether one has failed.
pub fn fail_no_more() -> bool {
  let at = FAILS_AT.swap(u64::MAX, Ordering::SeqCst);
  CALLS.load(Ordering::SeqCst) >= at
}

fn fails() -> bool {
  let call = CALLS.fetch_add(1, Ordering::SeqCst) + 1;
  let at = FAILS_AT.load(Ordering::SeqCst);
  call == at || (call > at && FOR_EVER.load(Ordering::SeqCst))
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
  match REAL.get() {
    // SAFETY: it is what SQLite would have called.
    Some((real, _)) if !fails() => unsafe { real(bytes) },
    _ => ptr::null_mut(),
  }
}

unsafe extern "C" fn realloc(old: *mut c_void, bytes: c_int) -> *mut c_void {
  match REAL.get() {
    // SAFETY: it is what SQLite would have called, and `old` came from the same allocator.
    Some((_, real)) if !fails() => unsafe { real(old, bytes) },
    _ => ptr::null_mut(),
  }
}
