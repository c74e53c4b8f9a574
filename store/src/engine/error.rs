use std::path::PathBuf;
use std::sync::Arc;

use crate::value::ValueDecodeError;

/// Why a store call failed. Nothing of a failed write is stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
  /// The file can't be opened or created.
  #[error("unable to open database file: {}: {reason}", path.display())]
  CannotOpen {
    /// The file.
    path: PathBuf,
    /// What stands in the way.
    reason: String,
  },
  /// The file is there, and is something else than a SQLite database.
  #[error("file is not a database: {}", path.display())]
  NotADatabase {
    /// The file.
    path: PathBuf,
  },
  /// A later version of this library, or of Deno, has changed the file's tables.
  #[error(
    "the database {} has format version {found}; this program knows versions up to {known}: \
     open it with a newer one. The file was left as it is", path.display()
  )]
  NewerFormat {
    /// The file.
    path: PathBuf,
    /// Its version.
    found: i64,
    /// The newest version this program knows.
    known: i64,
  },
  /// A write to a database whose file may only be read.
  #[error("Can not write to a read-only database: {}", path.display())]
  ReadOnly {
    /// The file.
    path: PathBuf,
  },
  /// The file was deleted, or another was put in its place, while it was open. What is written would be
  /// in a file without a name.
  #[error(
    "the database file was deleted or replaced while it was open: {}. Nothing was written; open it \
     again", path.display()
  )]
  Replaced {
    /// The file.
    path: PathBuf,
  },
  /// The log of the file was deleted, or another was put in its place, while it was open: a process that does
  /// not see this one's locks has taken itself for the last user. Commits would go to a file without a name.
  #[error(
    "the log of the database was deleted or replaced while it was open: {}. The write was not kept; \
     open the database again", path.display()
  )]
  LogReplaced {
    /// The log.
    path: PathBuf,
  },
  /// Another process kept the write lock for longer than the store waits.
  #[error(
    "database is locked: {}: another process has held its write lock for {waited_ms} ms. \
     Nothing was written; try again", path.display()
  )]
  Locked {
    /// The file.
    path: PathBuf,
    /// How long the store waited.
    waited_ms: u64,
  },
  /// Anything else that SQLite reports: no space left, an I/O error, a damaged file.
  #[error("{source}: {}", path.display())]
  Sqlite {
    /// The file, or `:memory:`.
    path: PathBuf,
    /// SQLite's own words.
    source: Arc<rusqlite::Error>,
  },
  /// `sum`, `min` or `max` on values that can't be combined.
  #[error("{0}")]
  TypeMismatch(String),
  /// A stored value that can't be read.
  #[error(transparent)]
  Value(Arc<ValueDecodeError>),
  /// The thread that worked for this database has ended.
  #[error("Database is closed.")]
  Stopped,
}

impl From<ValueDecodeError> for StoreError {
  fn from(error: ValueDecodeError) -> Self {
    Self::Value(Arc::new(error))
  }
}
