//! Copying from mapped memory that may have gone.
//!
//! A page of a mapped file that can't be had, since the file was cut short or the disk failed, is a signal,
//! SIGBUS, to whoever touches it. The handler here puts a page of zeros in its place, so that the copy runs
//! to its end, and notes that what was copied is worth nothing. It does so only for the bytes that the
//! thread is copying at that moment: every other SIGBUS goes to the handler there was before.

use std::mem::MaybeUninit;
use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, compiler_fence};

/// What a thread is copying from. Atomics for the handler's sake, which interrupts the thread anywhere.
struct Source {
  start: AtomicUsize,
  end: AtomicUsize,
  failed: AtomicBool,
}

thread_local! {
  // Constant and without a destructor: reading it in a signal handler allocates and registers nothing.
  static SOURCE: Source = const {
    Source {
      start: AtomicUsize::new(0),
      end: AtomicUsize::new(0),
      failed: AtomicBool::new(false),
    }
  };
}

/// What the handler needs, and can't ask for when it runs.
struct Installed {
  page_bytes: usize,
  before: libc::sigaction,
}

static INSTALLED: OnceLock<Option<Installed>> = OnceLock::new();

/// Installs the handler, once in the process. False: the system refuses, and [`copy`] must not be used.
pub(super) fn install() -> bool {
  INSTALLED.get_or_init(try_install).is_some()
}

fn try_install() -> Option<Installed> {
  // SAFETY: it asks for a number.
  let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
  let page_bytes = usize::try_from(page_bytes).ok()?;
  let mut before = MaybeUninit::uninit();
  // SAFETY: the action is a plain structure, for which zeros are valid, with an empty mask. Its function
  // has the arguments that SA_SIGINFO promises it, and calls only what a handler may call. `before` is
  // written if the call succeeds.
  unsafe {
    let mut action: libc::sigaction = std::mem::zeroed();
    action.sa_sigaction = on_bus_error as *const () as usize;
    // On the alternate stack, as Rust's own handler, which this one hands signals to.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    libc::sigemptyset(&mut action.sa_mask);
    if libc::sigaction(libc::SIGBUS, &action, before.as_mut_ptr()) != 0 {
      return None;
    }
    Some(Installed {
      page_bytes,
      before: before.assume_init(),
    })
  }
}

/// Copies from a map to memory. False: some of it could not be had, and what is in `target` is worth nothing.
///
/// # Safety
/// [`install`] has returned true. `len` bytes from `source` on are in one map of a file, which this thread
/// alone uses and which may be shorter than the map; `len` bytes from `target` on may be written, and are
/// elsewhere.
pub(super) unsafe fn copy(source: *const u8, target: *mut u8, len: usize) -> bool {
  SOURCE.with(|guarded| {
    guarded.failed.store(false, Ordering::Relaxed);
    guarded.start.store(source.addr(), Ordering::Relaxed);
    guarded.end.store(source.addr() + len, Ordering::Relaxed);
    // The handler runs in this thread: the order of its instructions is all it takes.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the caller's promise; what of the source is not there, the handler puts there. Others may
    // write to the file meanwhile, as they may while the system copies from it: any bytes are valid.
    unsafe { ptr::copy_nonoverlapping(source, target, len) };
    compiler_fence(Ordering::SeqCst);
    guarded.end.store(0, Ordering::Relaxed);
    !guarded.failed.load(Ordering::Relaxed)
  })
}

/// The handler. It allocates nothing and takes no lock.
extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
  // It may run before `install` is done, in another thread, for a signal of somebody else's.
  let Some(Some(installed)) = INSTALLED.get() else {
    return;
  };
  // SAFETY: the system passes a description of the signal, and SIGBUS has an address.
  let address = unsafe { (*info).si_addr() }.addr();
  let mended = SOURCE.with(|source| {
    let range = source.start.load(Ordering::Relaxed)..source.end.load(Ordering::Relaxed);
    let mended = range.contains(&address) && put_zeros(address, installed.page_bytes);
    if mended {
      source.failed.store(true, Ordering::Relaxed);
    }
    mended
  });
  if !mended {
    // SAFETY: the arguments are those that the system has passed.
    unsafe { hand_on(&installed.before, signal, info, context) };
  }
}

/// Puts a page of zeros in the place of the one around `address`, which is in a map that a thread is copying
/// from.
fn put_zeros(address: usize, page_bytes: usize) -> bool {
  let page = ptr::without_provenance_mut(address & !(page_bytes - 1));
  // SAFETY: the page is part of a map that the interrupted thread is reading, and nobody else uses; it stays
  // readable. The call is a system call and no more, and leaves `errno` alone if it succeeds.
  let mapped = unsafe {
    libc::mmap(
      page,
      page_bytes,
      libc::PROT_READ,
      libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
      -1,
      0,
    )
  };
  mapped != libc::MAP_FAILED
}

/// What would have happened without this handler.
///
/// # Safety
/// The arguments are those of a signal that is being handled.
unsafe fn hand_on(
  before: &libc::sigaction,
  signal: c_int,
  info: *mut libc::siginfo_t,
  context: *mut c_void,
) {
  match before.sa_sigaction {
    // The signal is blocked until the handler returns, and ends the process then. Nothing else can be
    // done about one that an instruction has caused, also where it was to be ignored.
    libc::SIG_DFL | libc::SIG_IGN => {
      // SAFETY: both calls are allowed in a handler. Zeros are a valid action: the default one.
      unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, &default, ptr::null_mut());
        libc::raise(signal);
      }
    }
    handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
      // SAFETY: what is installed with this flag is a function of these arguments.
      let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
        unsafe { std::mem::transmute(handler) };
      handler(signal, info, context);
    }
    handler => {
      // SAFETY: what is installed without the flag is a function of the signal's number.
      let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
      handler(signal);
    }
  }
}

#[cfg(test)]
mod tests {
  use std::fs::File;
  use std::os::fd::AsRawFd;

  use super::*;

  #[test]
  fn what_can_not_be_copied_is_told_and_what_can_is_copied() {
    assert!(install());
    let page = INSTALLED.get().unwrap().as_ref().unwrap().page_bytes;
    let file = tempfile::tempfile().unwrap();
    let fill = |file: &File, len: usize| {
      std::os::unix::fs::FileExt::write_all_at(file, &vec![7; len], 0).unwrap();
    };
    fill(&file, 3 * page);
    // SAFETY: the map is where nothing is, and the file stays open.
    let map = unsafe {
      libc::mmap(
        ptr::null_mut(),
        3 * page,
        libc::PROT_READ,
        libc::MAP_SHARED,
        file.as_raw_fd(),
        0,
      )
    };
    assert_ne!(map, libc::MAP_FAILED);
    let copy = |offset: usize, len: usize| {
      let mut target = vec![0; len];
      // SAFETY: the bytes are in the map, and in the vector.
      let copied = unsafe { super::copy(map.cast::<u8>().add(offset), target.as_mut_ptr(), len) };
      copied.then_some(target)
    };
    assert_eq!(copy(5, 2 * page), Some(vec![7; 2 * page]));
    file.set_len(page as u64).unwrap();
    assert_eq!(copy(5, 2 * page), None);
    assert_eq!(copy(0, page), Some(vec![7; page]));
    // The page of zeros stays, which is why a map is given up once a copy has failed.
    fill(&file, 3 * page);
    assert_eq!(copy(page, 1), Some(vec![0]));
    // SAFETY: nobody looks at the map any more.
    unsafe { libc::munmap(map, 3 * page) };
  }
}
