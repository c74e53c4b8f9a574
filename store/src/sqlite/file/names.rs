//! The names of the files that SQLite keeps beside a database.

use std::path::{Path, PathBuf};

/// Where SQLite keeps the log of a file.
pub(crate) fn log_path(path: &Path) -> PathBuf {
  beside(path, "-wal")
}

/// Where it keeps the index of the log.
pub(crate) fn log_index_path(path: &Path) -> PathBuf {
  beside(path, "-shm")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
  let mut name = path.as_os_str().to_owned();
  name.push(suffix);
  name.into()
}
