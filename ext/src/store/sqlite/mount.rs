//! Whether a file is mounted by itself, which the standard library does not tell.

use std::path::Path;

/// Whether the file itself, and not a folder above it, is a (bind) mount. Linux tells since version 5.8; elsewhere
/// nothing does, and the answer is no.
#[cfg(target_os = "linux")]
pub(super) fn is_mount_point(path: &Path) -> bool {
  let Ok(path) = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()) else {
    return false;
  };
  // SAFETY: it is made of integers, for which zero is a value.
  let mut found: libc::statx = unsafe { std::mem::zeroed() };
  // SAFETY: the path ends with a zero, and both pointers lead to what lives longer than the call.
  let failed = unsafe {
    libc::statx(
      libc::AT_FDCWD,
      path.as_ptr(),
      libc::AT_SYMLINK_NOFOLLOW,
      0,
      &raw mut found,
    )
  };
  let attribute = libc::STATX_ATTR_MOUNT_ROOT as u64;
  failed == 0 && found.stx_attributes & found.stx_attributes_mask & attribute != 0
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_mount_point(_: &Path) -> bool {
  false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
  use super::*;

  #[test]
  fn a_mount_point_is_known_and_what_is_in_one_is_none() {
    assert!(is_mount_point(Path::new("/proc")));
    assert!(!is_mount_point(Path::new("/proc/self/stat")));
    assert!(!is_mount_point(Path::new("/proc/none")));
    assert!(!is_mount_point(Path::new("a\0b")));
  }
}
