use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::value::ValueDecodeError;

/// What kind of error a call of the store has ended with, for programs that handle kinds differently.
///
/// Unless a kind says otherwise, nothing of a failed write is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
  /// The database can't be opened or created.
  CannotOpen,
  /// There is something else than a database.
  NotADatabase,
  /// A later version of this library, or of Deno, has changed the format.
  NewerFormat,
  /// A write to a database that may only be read.
  ReadOnly,
  /// The database was deleted or replaced while it was open. Opening it again may help.
  Replaced,
  /// Somebody else has held a lock for longer than the engine waits. Trying again may help.
  Locked,
  /// Commits of others came in between again and again. Trying again may help.
  Conflict,
  /// There is no space left.
  Full,
  /// The database contradicts itself.
  Damaged,
  /// Reading or writing has failed: a disk, for one.
  Io,
  /// The database can't be reached at the moment: a network, a server. Trying again may help.
  Unavailable,
  /// The database does not accept the credentials, or they don't allow the call.
  Unauthorized,
  /// A server refused the call, and says why.
  Refused,
  /// It is not known whether the write was committed: the connection broke after it was sent.
  UnknownOutcome,
  /// The engine can't do this.
  Unsupported,
  /// A `sum`, `min` or `max` of values that can't be combined.
  TypeMismatch,
  /// A stored value that can't be decoded.
  Value,
  /// The database or the handle is closed.
  Closed,
  /// Anything else.
  Other,
}

/// Why a call of the store failed: a kind for programs, a message for people, and often the engine's own error as
/// [`source`](Error::source).
#[derive(Clone)]
pub struct StoreError(Arc<Inner>);

struct Inner {
  kind: ErrorKind,
  message: String,
  source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
  /// An error of this kind. The message stands on its own: scripts see nothing else.
  pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
    Self(Arc::new(Inner {
      kind,
      message: message.into(),
      source: None,
    }))
  }

  /// The same with the error that has caused it. The message should contain what is of use in it.
  pub fn with_source(
    kind: ErrorKind,
    message: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
  ) -> Self {
    Self(Arc::new(Inner {
      kind,
      message: message.into(),
      source: Some(source.into()),
    }))
  }

  /// The database or the handle is closed, with Deno's message.
  pub fn closed() -> Self {
    Self::new(ErrorKind::Closed, "Database is closed.")
  }

  /// The kind.
  pub fn kind(&self) -> ErrorKind {
    self.0.kind
  }

  /// Whether the database or the handle is closed.
  pub fn is_closed(&self) -> bool {
    self.kind() == ErrorKind::Closed
  }

  /// What is wrong with a stored value, for an error of kind [`Value`](ErrorKind::Value).
  pub fn value_error(&self) -> Option<&ValueDecodeError> {
    self.0.source.as_ref()?.downcast_ref()
  }
}

impl fmt::Debug for StoreError {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("StoreError")
      .field("kind", &self.0.kind)
      .field("message", &self.0.message)
      .field("source", &self.0.source)
      .finish()
  }
}

impl fmt::Display for StoreError {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&self.0.message)
  }
}

impl Error for StoreError {
  fn source(&self) -> Option<&(dyn Error + 'static)> {
    let source = self.0.source.as_deref()?;
    Some(source)
  }
}

impl From<ValueDecodeError> for StoreError {
  fn from(error: ValueDecodeError) -> Self {
    Self::with_source(ErrorKind::Value, error.to_string(), error)
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn source_is_kept() {
    let error = StoreError::from(ValueDecodeError::UnknownEncoding(7));
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(error.to_string(), "The value encoding 7 is unknown.");
    assert_eq!(
      error.clone().value_error(),
      Some(&ValueDecodeError::UnknownEncoding(7))
    );
    assert!(error.source().is_some());
    assert!(StoreError::closed().is_closed());
    assert!(StoreError::closed().value_error().is_none());
  }
}
