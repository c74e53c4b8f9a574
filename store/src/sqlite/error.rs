//! Errors inside the engine, before they name the file.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};

use crate::engine::StoreError;

/// Why a read failed.
#[derive(Debug)]
pub(crate) enum ReadError {
  Sqlite(rusqlite::Error),
  /// The read exceeds its budget.
  OverBudget,
}

impl ReadError {
  /// The store's error; `explain` knows the file.
  pub(crate) fn explain(self, explain: impl FnOnce(rusqlite::Error) -> StoreError) -> StoreError {
    match self {
      Self::Sqlite(error) => explain(error),
      // Every caller that sets a budget reads again without one.
      Self::OverBudget => StoreError::Stopped,
    }
  }
}

impl From<rusqlite::Error> for ReadError {
  fn from(error: rusqlite::Error) -> Self {
    Self::Sqlite(error)
  }
}

/// Why one task of a transaction failed.
#[derive(Debug)]
pub(crate) enum WriteError {
  /// SQLite refused; perhaps the whole transaction is lost.
  Sqlite(rusqlite::Error),
  /// The data don't allow what the task asks for. The rest of the transaction goes on.
  Refused(StoreError),
}

impl WriteError {
  /// The store's error; `explain` knows the file.
  pub(crate) fn explain(self, explain: impl FnOnce(rusqlite::Error) -> StoreError) -> StoreError {
    match self {
      Self::Sqlite(error) => explain(error),
      Self::Refused(error) => error,
    }
  }

  /// Whether another connection holds the write lock.
  pub(crate) fn is_busy(&self) -> bool {
    matches!(self, Self::Sqlite(error) if is_busy(error))
  }
}

impl From<rusqlite::Error> for WriteError {
  fn from(error: rusqlite::Error) -> Self {
    Self::Sqlite(error)
  }
}

impl From<ReadError> for WriteError {
  fn from(error: ReadError) -> Self {
    match error {
      ReadError::Sqlite(error) => Self::Sqlite(error),
      error => Self::Refused(error.explain(|_| StoreError::Stopped)),
    }
  }
}

/// Whether another connection holds a lock that is needed.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
  error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Whether the progress handler has stopped a statement (see [`interrupt`](super::interrupt)).
pub(crate) fn is_interrupted(error: &rusqlite::Error) -> bool {
  error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

/// An error for a file whose content contradicts itself.
pub(crate) fn damaged(what: &str) -> rusqlite::Error {
  let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
  let message = format!("database disk image is malformed: {what}");
  rusqlite::Error::SqliteFailure(code, Some(message))
}

/// The error of a call on an open database; `waited_ms` is how long it has waited for a lock.
pub(crate) fn store_error(path: &Path, waited_ms: u64, error: rusqlite::Error) -> StoreError {
  let path = path.to_path_buf();
  match error.sqlite_error_code() {
    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
      StoreError::Locked { path, waited_ms }
    }
    Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
    Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
    _ => StoreError::Sqlite {
      path,
      source: Arc::new(error),
    },
  }
}
