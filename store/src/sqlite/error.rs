//! Errors inside the engine, before they name the file.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

use crate::engine::{ErrorKind, StoreError};

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
      Self::OverBudget => StoreError::closed(),
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
      error => Self::Refused(error.explain(|_| StoreError::closed())),
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

/// The file can't be opened or created, for this reason.
pub(crate) fn cannot_open(path: &Path, reason: impl Display) -> StoreError {
  let path = path.display();
  StoreError::new(
    ErrorKind::CannotOpen,
    format!("unable to open database file: {path}: {reason}"),
  )
}

/// A later version of this library, or of Deno, has changed the file's tables.
pub(crate) fn newer_format(path: &Path, found: i64, known: i64) -> StoreError {
  let path = path.display();
  StoreError::new(
    ErrorKind::NewerFormat,
    format!(
      "the database {path} has format version {found}; this program knows versions up to {known}: open it with a \
       newer one. The file was left as it is"
    ),
  )
}

/// A write to a file that may only be read.
pub(crate) fn read_only(path: &Path) -> StoreError {
  let path = path.display();
  StoreError::new(
    ErrorKind::ReadOnly,
    format!("Can not write to a read-only database: {path}"),
  )
}

/// The file was deleted, or another was put in its place, while it was open. A write would go to a file without a
/// name.
pub(crate) fn replaced(path: &Path) -> StoreError {
  let path = path.display();
  StoreError::new(
    ErrorKind::Replaced,
    format!(
      "the database file was deleted or replaced while it was open: {path}. Nothing was written; open it again"
    ),
  )
}

/// The same of the log: a process that does not see this one's locks has taken itself for the last user.
pub(crate) fn log_replaced(path: &Path) -> StoreError {
  let path = path.display();
  StoreError::new(
    ErrorKind::Replaced,
    format!(
      "the log of the database was deleted or replaced while it was open: {path}. The write was not kept; open the \
       database again"
    ),
  )
}

/// Another process kept the write lock for longer than the store waits.
pub(crate) fn locked(path: &Path, waited: Duration) -> StoreError {
  let (path, waited_ms) = (path.display(), waited.as_millis());
  StoreError::new(
    ErrorKind::Locked,
    format!(
      "database is locked: {path}: another process has held its write lock for {waited_ms} ms. Nothing was written; \
       try again"
    ),
  )
}

/// The error of a call on an open database; `waited` is how long it has waited for a lock.
pub(crate) fn store_error(path: &Path, waited: Duration, error: rusqlite::Error) -> StoreError {
  let kind = match error.sqlite_error_code() {
    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return locked(path, waited),
    Some(ErrorCode::ReadOnly) => return read_only(path),
    Some(ErrorCode::NotADatabase) => {
      let message = format!("file is not a database: {}", path.display());
      return StoreError::with_source(ErrorKind::NotADatabase, message, error);
    }
    Some(ErrorCode::DiskFull) => ErrorKind::Full,
    Some(ErrorCode::DatabaseCorrupt) => ErrorKind::Damaged,
    Some(ErrorCode::SystemIoFailure) => ErrorKind::Io,
    _ => ErrorKind::Other,
  };
  let message = format!("{error}: {}", path.display());
  StoreError::with_source(kind, message, error)
}
