//! Paths of database files: which are taken, and why one can't be opened.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf, is_separator};

use super::identity::is_mount_point;
use super::in_use::is_in_use;
use super::names::log_path;
use crate::engine::StoreError;
use crate::sqlite::error::cannot_open;

/// Whether opening the file takes less than a millisecond, as far as one can see from outside: it has
/// been made, and no log of a crash has to be put in order.
pub(crate) fn opens_quickly(path: &Path) -> bool {
  let bytes = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
  bytes(path) > 0 && bytes(&log_path(path)) == 0
}

/// What keeps SQLite, which does not say, from opening a file.
pub(crate) fn why_not(path: &Path) -> String {
  let bytes = path.as_os_str().len();
  if bytes > MAX_PATH_BYTES {
    return format!("its path has {bytes} bytes, and SQLite takes {MAX_PATH_BYTES}");
  }
  if path.is_dir() {
    return IS_A_FOLDER.into();
  }
  // Closing a descriptor of a file that is open as a database drops the locks that this process has on it.
  if !is_in_use(path)
    && let Err(error) = fs::File::open(path)
  {
    let is_in_a_folder = path.parent().is_some_and(Path::is_dir);
    return if error.kind() == ErrorKind::NotFound && is_in_a_folder {
      "it does not exist, and no file can be made in its folder".into()
    } else {
      error.to_string()
    };
  }
  "the folder it is in can't be written, and SQLite keeps its log there. To read it from a medium that can't be \
   written, take it out of WAL mode first: PRAGMA journal_mode = DELETE"
    .into()
}

/// SQLite's limit, less what it appends to make the name of the log.
const MAX_PATH_BYTES: usize = 504;

const IS_A_FOLDER: &str = "it is a folder";

/// Whether a file has one name only. SQLite derives the name of the log from that of the file: under two names it
/// has two logs, and whoever opens it by one does not see what is in the other.
///
/// # Errors
/// It has several.
pub(crate) fn must_have_one_name(path: &Path) -> Result<(), StoreError> {
  let refuse = |reason: String| Err(cannot_open(path, reason));
  #[cfg(unix)]
  {
    use std::os::unix::fs::MetadataExt;
    if let Ok(metadata) = fs::metadata(path)
      && metadata.is_file()
      && metadata.nlink() > 1
    {
      let names = metadata.nlink();
      return refuse(format!(
        "it has {names} names (hard links), each of which would have a log of its own: remove the others, or open \
         a copy"
      ));
    }
  }
  if is_mount_point(path) {
    return refuse(
      "it is mounted by itself, and its log would be outside the mount: mount the folder it is in"
        .into(),
    );
  }
  Ok(())
}

/// The absolute path of a database file, by one name for all the ways to write it.
///
/// # Errors
/// The folder does not exist, or the path leads through a symbolic link: a link could be changed
/// to point elsewhere after whoever allowed the path has looked at it.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
  let refused = |reason: String| cannot_open(path, reason);
  let absolute = std::path::absolute(path).map_err(|error| refused(error.to_string()))?;
  let absolute = without_system_links(absolute);
  // A path that ends so names no file, and the separator is lost on the way.
  if path
    .as_os_str()
    .as_encoded_bytes()
    .last()
    .is_some_and(|&byte| is_separator(byte.into()))
  {
    return Err(refused(IS_A_FOLDER.into()));
  }
  for part in absolute.ancestors() {
    if fs::symlink_metadata(part).is_ok_and(|metadata| metadata.is_symlink()) {
      let reason = format!(
        "{} is a symbolic link; give the path it points to",
        part.display()
      );
      return Err(refused(reason));
    }
  }
  let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
    return Err(refused(IS_A_FOLDER.into()));
  };
  match fs::canonicalize(folder) {
    Ok(folder) => Ok(folder.join(name)),
    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(refused(format!(
      "the folder {} does not exist",
      folder.display()
    ))),
    Err(error) => Err(refused(format!("{}: {error}", folder.display()))),
  }
}

/// macOS reaches its temporary folders through links of its own, which no user can change.
fn without_system_links(path: PathBuf) -> PathBuf {
  if cfg!(target_os = "macos") {
    for link in ["/var", "/tmp"] {
      if let (Ok(rest), Ok(target)) = (path.strip_prefix(link), fs::canonicalize(link)) {
        return target.join(rest);
      }
    }
  }
  path
}

#[cfg(test)]
mod tests {
  use super::*;

  #[cfg(unix)]
  #[test]
  fn a_file_of_two_names_is_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    fs::write(&path, "").unwrap();
    must_have_one_name(&path).unwrap();
    fs::hard_link(&path, folder.path().join("other")).unwrap();
    let error = must_have_one_name(&path).unwrap_err().to_string();
    assert!(error.contains("hard links"), "{error}");
  }
}
