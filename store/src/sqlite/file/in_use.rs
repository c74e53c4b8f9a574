//! Which files this process has open as databases.
//!
//! Such a file must not be opened by other means than SQLite: closing any descriptor of it drops all POSIX locks that
//! the process has on it (<https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>).

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::identity::FileId;
use super::names::{log_index_path, log_path};
use crate::sqlite::mutex::lock;

static OPEN: Mutex<Vec<(PathBuf, FileId)>> = Mutex::new(Vec::new());

/// Marks a database file, and with it its log and the log's index, as in use until this is dropped.
pub(crate) struct InUse {
  file: FileId,
}

impl InUse {
  pub(crate) fn mark(path: &Path, file: FileId) -> Self {
    lock(&OPEN).push((path.to_path_buf(), file));
    Self { file }
  }
}

impl Drop for InUse {
  fn drop(&mut self) {
    let mut open = lock(&OPEN);
    if let Some(index) = open.iter().position(|(_, file)| *file == self.file) {
      open.swap_remove(index);
    }
  }
}

/// Whether a file is open as a database, by whatever name, or is the log of one, or the index of its log.
pub(crate) fn is_in_use(path: &Path) -> bool {
  let wanted = FileId::of(path);
  wanted != FileId::NONE
    && lock(&OPEN).iter().any(|(path, file)| {
      // The log and its index come and go while the file is open.
      let beside = [log_path(path), log_index_path(path)];
      *file == wanted || beside.iter().any(|path| FileId::of(path) == wanted)
    })
}
