use crate::error::KvError;
use crate::key::Key;
use crate::store;
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
  pub(super) fn decode(entry: store::Entry) -> Result<Self, KvError> {
    Ok(Self {
      key: Key::decode(&entry.key)?,
      value: entry.value,
      versionstamp: entry.versionstamp,
    })
  }
}
