use std::borrow::Cow;

use deno_core::error::ResourceError;
use deno_error::{AdditionalProperties, JsErrorBox, JsErrorClass};
use kv_store::engine::StoreError;
use kv_store::key::{BigIntTooLargeError, KeyDecodeError};
use kv_store::{JsValueError, KvError, SelectorError, shown_key};

/// Why an op failed, as JavaScript sees it: what the store says, and what only a script can do wrong.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(crate) enum OpError {
  /// The store's own, with the class it states.
  #[class(inherit)]
  #[error(transparent)]
  Kv(ClassedError),
  /// The handle was closed. Class `BadResource`, as Deno has it.
  #[class(inherit)]
  #[error(transparent)]
  Closed(#[from] ResourceError),
  /// A key that is not an array.
  #[class(type)]
  #[error("Key must be an array: received {0}")]
  KeyNotArray(String),
  /// A key part of a type that keys don't have.
  #[class(type)]
  #[error("expected string, number, bigint, ArrayBufferView, boolean")]
  KeyPartType,
  /// A string part with a lone surrogate: it has no UTF-8 form, so it can't be told from others.
  #[class(type)]
  #[error("Key part is not a well-formed string: it contains a lone surrogate")]
  KeyPartNotWellFormed,
  /// The same in a mutation, or an expiry beyond the calendar.
  #[class(type)]
  #[error("Invalid mutation: {0}")]
  InvalidMutation(String),
  /// An argument of a wrong type.
  #[class(type)]
  #[error("{name} must be {expected}: received {received}")]
  Argument {
    /// The argument.
    name: &'static str,
    /// What it should be.
    expected: &'static str,
    /// What it is.
    received: String,
  },
  /// Listening on a handle that was closed.
  #[class(generic)]
  #[error("Queue already closed")]
  QueueClosed,
  /// The embedder gave no place for databases without a path.
  #[class(type)]
  #[error("this runtime has no default database: give Deno.openKv a path, or ':memory:'")]
  NoDefaultPath,
  /// The folder of the default database can't be made.
  #[class(generic)]
  #[error("unable to create the folder for the default database: {path}: {source}")]
  DefaultFolder {
    /// The folder.
    path: String,
    /// What stands in the way.
    source: std::io::Error,
  },
  /// The embedder's hook does not allow the database to be opened: its own class and message.
  #[class(inherit)]
  #[error(transparent)]
  Denied(JsErrorBox),
  /// The engine has thrown; JavaScript sees that exception and not this.
  #[class(generic)]
  #[error("a JavaScript exception is pending")]
  Pending,
  /// A value in the database that the engine can't read.
  #[class(range)]
  #[error("could not deserialize value")]
  Deserialize,
  /// The same, of the value of this key.
  #[class(range)]
  #[error("could not deserialize value: {0}")]
  DeserializeAt(String),
  /// The engine refused to serialize and did not say why.
  #[class(type)]
  #[error("The value could not be serialized")]
  Serialize,
}

/// An error of the store as an error of `deno_core`.
#[derive(Debug)]
pub(crate) struct ClassedError(pub(crate) KvError);

impl std::fmt::Display for ClassedError {
  fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    self.0.fmt(f)
  }
}

impl std::error::Error for ClassedError {
  fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
    self.0.source()
  }
}

impl JsErrorClass for ClassedError {
  fn get_class(&self) -> Cow<'static, str> {
    self.0.class().name().into()
  }

  fn get_message(&self) -> Cow<'static, str> {
    self.0.to_string().into()
  }

  fn get_additional_properties(&self) -> AdditionalProperties {
    Box::new(std::iter::empty())
  }

  fn get_ref(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
    self
  }
}

macro_rules! from_store {
  ($($error:ty),*) => {
    $(
      impl From<$error> for OpError {
        fn from(error: $error) -> Self {
          Self::Kv(ClassedError(error.into()))
        }
      }
    )*
  };
}

from_store!(
  KvError,
  StoreError,
  SelectorError,
  BigIntTooLargeError,
  KeyDecodeError,
  JsValueError
);

impl OpError {
  /// An error of reading a value, with the key that it is the value of, encoded.
  pub(crate) fn with_key(self, key: &[u8]) -> Self {
    match self {
      Self::Deserialize => Self::DeserializeAt(shown_key(key)),
      Self::Kv(ClassedError(error)) => error.with_key(key).into(),
      error => error,
    }
  }
}
