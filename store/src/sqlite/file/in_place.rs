use std::path::{Path, PathBuf};

use super::identity::FileId;
use super::names;
use crate::engine::StoreError;
use crate::sqlite::error::{log_replaced, replaced};

/// Tells whether the files that a connection has open are still those at their paths. A commit to a file that
/// has lost its name would be acknowledged, and gone.
///
/// Others remove the log too: a process that has closed a descriptor of the database file has lost its POSIX
/// locks on it, and the next to come and go takes itself for the last user.
pub(crate) struct InPlace {
  path: PathBuf,
  file: FileId,
  log_path: PathBuf,
  log: FileId,
}

impl InPlace {
  /// To be called when the connection has read the file: it has the log open from then on.
  pub(crate) fn new(file: &Path) -> Self {
    let log_path = names::log_path(file);
    Self {
      file: FileId::of(file),
      log: FileId::of(&log_path),
      path: file.to_path_buf(),
      log_path,
    }
  }

  pub(crate) fn check(&self) -> Result<(), StoreError> {
    if FileId::of(&self.path) != self.file {
      return Err(replaced(&self.path));
    }
    if FileId::of(&self.log_path) != self.log {
      return Err(log_replaced(&self.log_path));
    }
    Ok(())
  }
}
