use crate::engine::{ErrorKind, StoreError};
use crate::js_value::JsValueError;
use crate::key::{BigIntTooLargeError, Key, KeyDecodeError};
use crate::selector::SelectorError;
use crate::value::ValueDecodeError;

/// Why a call failed. The class and the message are those that a Deno user knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
  /// A bigint part of more than 255 bytes.
  #[error(transparent)]
  KeyPartBigInt(#[from] BigIntTooLargeError),
  /// The same in a check; Deno says no more than this.
  #[error("Invalid check")]
  InvalidCheck,
  /// A write to the empty key.
  #[error("key cannot be empty")]
  EmptyKey,
  /// A message with a delay or a backoff schedule that is not allowed.
  #[error("{0}")]
  InvalidEnqueue(String),
  /// More than [`Limits::message_bytes`](crate::Limits::message_bytes).
  #[error("enqueue payload too large (max {0} bytes)")]
  MessageTooLarge(usize),
  /// More than [`Limits::watch_keys`](crate::Limits::watch_keys).
  #[error("Too many keys (max {0})")]
  TooManyKeys(usize),
  /// More than [`Limits::read_ranges`](crate::Limits::read_ranges).
  #[error("Too many ranges (max {0})")]
  TooManyRanges(usize),
  /// More than [`Limits::read_entries`](crate::Limits::read_entries).
  #[error("Too many entries (max {0})")]
  TooManyEntries(usize),
  /// More than [`Limits::checks`](crate::Limits::checks).
  #[error("Too many checks (max {0})")]
  TooManyChecks(usize),
  /// More than [`Limits::mutations`](crate::Limits::mutations).
  #[error("Too many mutations (max {0})")]
  TooManyMutations(usize),
  /// More than [`Limits::read_key_bytes`](crate::Limits::read_key_bytes).
  #[error("Key too large for read (max {0} bytes)")]
  KeyTooLargeToRead(usize),
  /// More than [`Limits::write_key_bytes`](crate::Limits::write_key_bytes).
  #[error("Key too large for write (max {0} bytes)")]
  KeyTooLargeToWrite(usize),
  /// More than [`Limits::value_bytes`](crate::Limits::value_bytes).
  #[error("Value too large (max {0} bytes)")]
  ValueTooLarge(usize),
  /// More than [`Limits::value_depth`](crate::Limits::value_depth).
  #[error("Value is nested too deeply to be read back (max {0} levels)")]
  TooDeep(usize),
  /// More than [`Limits::undelivered_keys`](crate::Limits::undelivered_keys).
  #[error("Too many keys in keysIfUndelivered (max {0})")]
  TooManyUndeliveredKeys(usize),
  /// More than [`Limits::total_mutation_bytes`](crate::Limits::total_mutation_bytes).
  #[error("Total mutation size too large (max {0} bytes)")]
  TotalMutationTooLarge(usize),
  /// More than [`Limits::total_key_bytes`](crate::Limits::total_key_bytes).
  #[error("Total key size too large (max {0} bytes)")]
  TotalKeyTooLarge(usize),
  /// A selector or a cursor that means no range.
  #[error(transparent)]
  Selector(#[from] SelectorError),
  /// A key in the database that can't be read.
  #[error(transparent)]
  KeyDecode(#[from] KeyDecodeError),
  /// `openKv("")`.
  #[error("Filename cannot be empty")]
  EmptyFilename,
  /// `openKv(":name")`, but for `:memory:`.
  #[error("Filename cannot start with ':' unless prefixed with './'")]
  FilenameStartsWithColon,
  /// A NUL in a filename: the system would not see what follows.
  #[error("file name contained an unexpected NUL byte")]
  FilenameNul,
  /// A `file:` URL that names no file of this machine.
  #[error("not a local file URL: {0}")]
  FilenameUrl(String),
  /// `openKv("https://…")`, where no engine is there for the scheme.
  #[error("remote databases (KV Connect) are not supported: {0}: open a local file instead")]
  Remote(String),
  /// A name that begins as a URL, and is none.
  #[error("invalid URL: {0}: {1}")]
  InvalidUrl(String, #[source] url::ParseError),
  /// The database file can't be opened.
  #[error("{0}")]
  Open(#[source] StoreError),
  /// A read or a commit failed in the store.
  #[error(transparent)]
  Store(#[from] StoreError),
  /// From Rust: a value that does not fit the type it was asked for.
  #[error(transparent)]
  Value(#[from] JsValueError),
  /// A value whose encoding is unknown, of this key.
  #[error("{1}: {0}")]
  ValueAt(String, ValueDecodeError),
}

/// The JavaScript class of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
  /// `Error`
  Generic,
  /// `TypeError`
  Type,
  /// `RangeError`
  Range,
}

impl ErrorClass {
  /// The name of the class.
  pub fn name(self) -> &'static str {
    match self {
      Self::Generic => "Error",
      Self::Type => "TypeError",
      Self::Range => "RangeError",
    }
  }
}

impl KvError {
  /// The class that a script sees.
  pub fn class(&self) -> ErrorClass {
    match self {
      // Deno's classes, for a file and for a remote database.
      Self::Open(error) if is_remote(error) => ErrorClass::Type,
      Self::Open(..) => ErrorClass::Generic,
      Self::Store(error) if is_remote(error) => ErrorClass::Generic,
      Self::TooDeep(..) => ErrorClass::Range,
      _ => ErrorClass::Type,
    }
  }

  /// An error of reading a value, with the key that it is the value of, encoded.
  pub fn with_key(self, key: &[u8]) -> Self {
    match self {
      Self::Store(error) => match error.value_error() {
        Some(error) => Self::ValueAt(shown_key(key), error.clone()),
        None => Self::Store(error),
      },
      error => error,
    }
  }
}

/// Whether an error is one of reaching a database, not of using it.
fn is_remote(error: &StoreError) -> bool {
  matches!(
    error.kind(),
    ErrorKind::Unavailable
      | ErrorKind::Unauthorized
      | ErrorKind::Refused
      | ErrorKind::UnknownOutcome
  )
}

/// An encoded key for people, also one that can't be decoded.
pub fn shown_key(key: &[u8]) -> String {
  Key::decode(key).map_or_else(|_| format!("{key:02x?}"), |key| key.to_string())
}
