use crate::engine::{EntryRef, Held};
use crate::error::KvError;
use crate::key::Key;
use crate::value::Value;
use crate::versionstamp::Versionstamp;

/// A key that is set.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
  /// The key.
  pub key: Key,
  /// The value: [`Value::to_js`] and [`Value::deserialize`] say what is in it.
  pub value: Value,
  /// The commit that last wrote the key.
  pub versionstamp: Versionstamp,
}

impl Entry {
  pub(super) fn decode(entry: EntryRef<'_>) -> Result<Self, KvError> {
    Self::of(entry.key, entry.to_held())
  }

  /// The entry of an encoded key.
  pub(super) fn of(key: &[u8], held: Held) -> Result<Self, KvError> {
    Ok(Self {
      key: Key::decode(key)?,
      value: held.value,
      versionstamp: held.versionstamp,
    })
  }
}
