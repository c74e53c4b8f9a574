use crate::error::KvError;
use crate::key::Key;
use crate::selector::Selector;

impl Selector {
  /// All keys that start with the parts of `prefix`, and are longer.
  ///
  /// # Errors
  /// A bigint in the key is too large. So it is with the other selectors of keys.
  pub fn prefix(prefix: &Key) -> Result<Self, KvError> {
    Ok(Self::new(Some(prefix.encode()?), None, None)?)
  }

  /// The keys with a prefix from `start` on.
  ///
  /// # Errors
  /// `start` does not begin with `prefix`.
  pub fn prefix_from(prefix: &Key, start: &Key) -> Result<Self, KvError> {
    let start = Some(start.encode()?);
    Ok(Self::new(Some(prefix.encode()?), start, None)?)
  }

  /// The keys with a prefix up to, and without, `end`.
  ///
  /// # Errors
  /// `end` does not begin with `prefix`.
  pub fn prefix_until(prefix: &Key, end: &Key) -> Result<Self, KvError> {
    let end = Some(end.encode()?);
    Ok(Self::new(Some(prefix.encode()?), None, end)?)
  }

  /// All keys from `start` up to, and without, `end`.
  ///
  /// # Errors
  /// `start` sorts after `end`.
  pub fn between(start: &Key, end: &Key) -> Result<Self, KvError> {
    let end = Some(end.encode()?);
    Ok(Self::new(None, Some(start.encode()?), end)?)
  }
}
