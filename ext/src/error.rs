use deno_core::error::ResourceError;
use deno_error::JsErrorBox;

use crate::js_value::JsValueError;
use crate::key::{BigIntTooLargeError, Key, KeyDecodeError};
use crate::selector::SelectorError;
use crate::store::StoreError;
use crate::value::ValueDecodeError;

/// Why a call failed, as JavaScript sees it: every variant has the class and the message that a
/// Deno user knows.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum KvError {
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
  /// A bigint part of more than 255 bytes.
  #[class(type)]
  #[error(transparent)]
  KeyPartBigInt(#[from] BigIntTooLargeError),
  /// The same in a check; Deno says no more than this.
  #[class(type)]
  #[error("Invalid check")]
  InvalidCheck,
  /// The same in a mutation, or an expiry beyond the calendar.
  #[class(type)]
  #[error("Invalid mutation: {0}")]
  InvalidMutation(String),
  /// A write to the empty key.
  #[class(type)]
  #[error("key cannot be empty")]
  EmptyKey,
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

  /// A message with a delay or a backoff schedule that is not allowed.
  #[class(type)]
  #[error("{0}")]
  InvalidEnqueue(String),
  /// More than [`Limits::message_bytes`](crate::Limits::message_bytes).
  #[class(type)]
  #[error("enqueue payload too large (max {0} bytes)")]
  MessageTooLarge(usize),
  /// Listening on a handle that was closed.
  #[class(generic)]
  #[error("Queue already closed")]
  QueueClosed,
  /// More than [`Limits::watch_keys`](crate::Limits::watch_keys).
  #[class(type)]
  #[error("Too many keys (max {0})")]
  TooManyKeys(usize),

  /// More than [`Limits::read_ranges`](crate::Limits::read_ranges).
  #[class(type)]
  #[error("Too many ranges (max {0})")]
  TooManyRanges(usize),
  /// More than [`Limits::read_entries`](crate::Limits::read_entries).
  #[class(type)]
  #[error("Too many entries (max {0})")]
  TooManyEntries(usize),
  /// More than [`Limits::checks`](crate::Limits::checks).
  #[class(type)]
  #[error("Too many checks (max {0})")]
  TooManyChecks(usize),
  /// More than [`Limits::mutations`](crate::Limits::mutations).
  #[class(type)]
  #[error("Too many mutations (max {0})")]
  TooManyMutations(usize),
  /// More than [`Limits::read_key_bytes`](crate::Limits::read_key_bytes).
  #[class(type)]
  #[error("Key too large for read (max {0} bytes)")]
  KeyTooLargeToRead(usize),
  /// More than [`Limits::write_key_bytes`](crate::Limits::write_key_bytes).
  #[class(type)]
  #[error("Key too large for write (max {0} bytes)")]
  KeyTooLargeToWrite(usize),
  /// More than [`Limits::value_bytes`](crate::Limits::value_bytes).
  #[class(type)]
  #[error("Value too large (max {0} bytes)")]
  ValueTooLarge(usize),
  /// More than [`Limits::value_depth`](crate::Limits::value_depth).
  #[class(range)]
  #[error("Value is nested too deeply to be read back (max {0} levels)")]
  TooDeep(usize),
  /// More than [`Limits::undelivered_keys`](crate::Limits::undelivered_keys).
  #[class(type)]
  #[error("Too many keys in keysIfUndelivered (max {0})")]
  TooManyUndeliveredKeys(usize),
  /// More than [`Limits::total_mutation_bytes`](crate::Limits::total_mutation_bytes).
  #[class(type)]
  #[error("Total mutation size too large (max {0} bytes)")]
  TotalMutationTooLarge(usize),
  /// More than [`Limits::total_key_bytes`](crate::Limits::total_key_bytes).
  #[class(type)]
  #[error("Total key size too large (max {0} bytes)")]
  TotalKeyTooLarge(usize),

  /// A selector or a cursor that means no range.
  #[class(type)]
  #[error(transparent)]
  Selector(#[from] SelectorError),
  /// A key in the database that can't be read.
  #[class(type)]
  #[error(transparent)]
  KeyDecode(#[from] KeyDecodeError),

  /// `openKv("")`.
  #[class(type)]
  #[error("Filename cannot be empty")]
  EmptyFilename,
  /// `openKv(":name")`, but for `:memory:`.
  #[class(type)]
  #[error("Filename cannot start with ':' unless prefixed with './'")]
  FilenameStartsWithColon,
  /// A NUL in a filename: the system would not see what follows.
  #[class(type)]
  #[error("file name contained an unexpected NUL byte")]
  FilenameNul,
  /// A `file:` URL that names no file of this machine.
  #[class(type)]
  #[error("not a local file URL: {0}")]
  FilenameUrl(String),
  /// `openKv("https://…")`.
  #[class(type)]
  #[error("remote databases (KV Connect) are not supported: {0}: open a local file instead")]
  Remote(String),
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
  /// The database file can't be opened.
  #[class(generic)]
  #[error("{0}")]
  Open(#[source] StoreError),
  /// A read or a commit failed in the store.
  #[class(type)]
  #[error(transparent)]
  Store(#[from] StoreError),

  /// From Rust: a value that does not fit the type it was asked for.
  #[class(type)]
  #[error(transparent)]
  Value(#[from] JsValueError),

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
  /// A value whose encoding is unknown, of this key.
  #[class(type)]
  #[error("{1}: {0}")]
  ValueAt(String, ValueDecodeError),
  /// The engine refused to serialize and did not say why.
  #[class(type)]
  #[error("The value could not be serialized")]
  Serialize,
}

impl KvError {
  /// An error of reading a value, with the key that it is the value of, encoded.
  pub(crate) fn with_key(self, key: &[u8]) -> Self {
    let shown = || Key::decode(key).map_or_else(|_| format!("{key:02x?}"), |key| key.to_string());
    match self {
      Self::Deserialize => Self::DeserializeAt(shown()),
      Self::Store(StoreError::Value(error)) => Self::ValueAt(shown(), (*error).clone()),
      error => error,
    }
  }
}
