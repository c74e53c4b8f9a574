use std::num::NonZeroU32;

use crate::engine::ReadRange;
use crate::error::KvError;
use crate::limits::Limits;
use crate::selector::Selector;

impl Selector {
  /// The range of a list's next page: at most `entries` entries after `cursor`, which [`cursor`](Self::cursor) has
  /// made of the last key. It may be empty: that is the key that all keys of the selector begin with.
  ///
  /// # Errors
  /// The cursor is malformed or points outside the selector, or a limit is exceeded.
  pub fn page(
    &self,
    cursor: Option<&str>,
    entries: NonZeroU32,
    reverse: bool,
    limits: &Limits,
  ) -> Result<ReadRange, KvError> {
    let (start, end) = self.range(cursor, reverse)?;
    limits.check_page(entries)?;
    limits.check_read_key(&start)?;
    limits.check_read_key(&end)?;
    Ok(ReadRange {
      start,
      end,
      limit: entries,
      reverse,
    })
  }
}
