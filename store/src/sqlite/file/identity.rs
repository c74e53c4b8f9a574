//! Which file a path leads to, and whether it is mounted by itself.

use std::fs;
use std::path::Path;

/// Which file a path leads to. Two paths with the same one share it; `None` is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(Option<(u64, u64)>);

impl FileId {
  pub(crate) const NONE: Self = Self(None);

  pub(crate) fn of(path: &Path) -> Self {
    #[cfg(target_os = "linux")]
    if let Some(found) = statx(path, 0) {
      let device = u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor);
      return Self(Some((device, found.stx_ino)));
    }
    Self(fs::metadata(path).ok().map(|metadata| identify(&metadata)))
  }
}

impl FileId {
  /// The numbers in 16 bytes.
  pub(crate) fn to_bytes(self) -> Option<[u8; 16]> {
    let (device, number) = self.0?;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&device.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Some(bytes)
  }
}

#[cfg(unix)]
fn identify(metadata: &fs::Metadata) -> (u64, u64) {
  use std::os::unix::fs::MetadataExt;
  (metadata.dev(), metadata.ino())
}

/// Where an open file can't be replaced, its name tells it.
#[cfg(not(unix))]
fn identify(_: &fs::Metadata) -> (u64, u64) {
  (0, 0)
}

/// Whether the file itself, and not a folder above it, is a (bind) mount. Linux tells since version 5.8; elsewhere
/// nothing does, and the answer is no.
#[cfg(target_os = "linux")]
pub(crate) fn is_mount_point(path: &Path) -> bool {
  let attribute = libc::STATX_ATTR_MOUNT_ROOT as u64;
  statx(path, libc::AT_SYMLINK_NOFOLLOW)
    .is_some_and(|found| found.stx_attributes & found.stx_attributes_mask & attribute != 0)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_mount_point(_: &Path) -> bool {
  false
}

/// Asks for the number of a file and its attributes, and not for its times, as the standard library does: a file
/// whose times were asked for gets new ones at the next write, and syncing those took 45 µs at each commit (Linux
/// 6.18, ext4). `None`: there is no such file, or no such call.
#[cfg(target_os = "linux")]
fn statx(path: &Path, flags: libc::c_int) -> Option<libc::statx> {
  let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
  // SAFETY: it is made of integers, for which zero is a value.
  let mut found: libc::statx = unsafe { std::mem::zeroed() };
  // SAFETY: the path ends with a zero, and both pointers lead to what lives longer than the call.
  let failed = unsafe {
    libc::statx(
      libc::AT_FDCWD,
      path.as_ptr(),
      flags,
      libc::STATX_INO,
      &raw mut found,
    )
  };
  (failed == 0).then_some(found)
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

  #[test]
  fn a_file_is_the_same_by_all_its_names() {
    let folder = tempfile::TempDir::new().unwrap();
    let names = ["a", "b", "c"].map(|name| folder.path().join(name));
    fs::write(&names[0], "").unwrap();
    fs::hard_link(&names[0], &names[1]).unwrap();
    fs::write(&names[2], "").unwrap();
    assert_eq!(FileId::of(&names[0]), FileId::of(&names[1]));
    assert_ne!(FileId::of(&names[0]), FileId::of(&names[2]));
    assert_eq!(FileId::of(&folder.path().join("d")), FileId::NONE);
    assert_ne!(FileId::of(&names[0]), FileId::NONE);
  }
}
