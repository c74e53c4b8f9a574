//! The checks of what calls ask for against [`Limits`].

use std::num::NonZeroU32;

use crate::engine::{AtomicWrite, MutationKind};
use crate::error::KvError;
use crate::limits::Limits;
use crate::value::Value;
use crate::wire;

/// The bytes that a commit's versionstamp adds to a key: a string of 20 digits with its tag and terminator.
const VERSIONSTAMP_PART_BYTES: usize = 22;

impl Limits {
  /// Checks how many entries one read may return.
  ///
  /// # Errors
  /// The limit that is exceeded.
  pub fn check_page(&self, entries: NonZeroU32) -> Result<(), KvError> {
    if entries.get() as usize > self.read_entries {
      return Err(KvError::TooManyEntries(self.read_entries));
    }
    Ok(())
  }

  /// Checks the delay of a message; `shown` is the delay as the caller wrote it. Returns whole milliseconds.
  ///
  /// # Errors
  /// [`KvError::InvalidEnqueue`]: it is no number, negative or too large.
  pub fn check_delay(&self, delay_ms: f64, shown: &str) -> Result<u64, KvError> {
    const DAY_MS: u64 = 86_400_000;
    let invalid = |message| Err(KvError::InvalidEnqueue(message));
    if delay_ms.is_nan() {
      return invalid("Delay cannot be NaN".into());
    }
    if delay_ms < 0.0 {
      return invalid(format!("Delay must be >= 0: received {shown}"));
    }
    let max = self.queue_delay_ms;
    if delay_ms > max as f64 {
      let most = if max.is_multiple_of(DAY_MS) {
        format!("{} days", max / DAY_MS)
      } else {
        format!("{max} ms")
      };
      return invalid(format!(
        "Delay cannot be greater than {most}: received {shown}"
      ));
    }
    Ok(delay_ms as u64)
  }

  /// Checks how many intervals a backoff schedule has, before anything reads them.
  ///
  /// # Errors
  /// [`KvError::InvalidEnqueue`].
  pub fn check_backoff_count(&self, intervals: usize) -> Result<(), KvError> {
    let max = self.backoff_intervals;
    if intervals > max {
      return Err(KvError::InvalidEnqueue(format!(
        "Invalid backoffSchedule, max {max} intervals allowed"
      )));
    }
    Ok(())
  }

  /// Whether a backoff schedule may have this interval at `index`. Returns whole milliseconds.
  ///
  /// # Errors
  /// [`KvError::InvalidEnqueue`]: it is no number, negative or too large.
  pub fn check_backoff_interval(&self, index: usize, ms: f64) -> Result<u32, KvError> {
    // Also false for NaN.
    if !(0.0..=f64::from(self.backoff_interval_ms)).contains(&ms) {
      return Err(KvError::InvalidEnqueue(format!(
        "Invalid backoffSchedule, interval at index {index} is invalid"
      )));
    }
    Ok(ms as u32)
  }

  /// Checks the size of an encoded key to read, or of a boundary of a range.
  ///
  /// # Errors
  /// The limit that is exceeded.
  pub fn check_read_key(&self, key: &[u8]) -> Result<(), KvError> {
    self.check_read_length(key.len())
  }

  /// Like [`check_read_key`](Self::check_read_key), for a key of this length.
  ///
  /// # Errors
  /// The limit that is exceeded.
  pub fn check_read_length(&self, bytes: usize) -> Result<(), KvError> {
    if bytes > self.read_key_bytes {
      return Err(KvError::KeyTooLargeToRead(self.read_key_bytes));
    }
    Ok(())
  }

  /// Checks how many checks and mutations an atomic operation has, before anything reads them.
  ///
  /// # Errors
  /// The limit that is exceeded.
  pub fn check_counts(&self, checks: usize, mutations: usize) -> Result<(), KvError> {
    if checks > self.checks {
      return Err(KvError::TooManyChecks(self.checks));
    }
    if mutations > self.mutations {
      return Err(KvError::TooManyMutations(self.mutations));
    }
    Ok(())
  }

  /// Checks the sizes of an atomic operation's keys and values. The totals are Deno's: a key counts once by itself,
  /// and once more with its value.
  ///
  /// # Errors
  /// The limit that is exceeded.
  pub fn check_write(&self, write: &AtomicWrite) -> Result<(), KvError> {
    let mut total = 0;
    let checked = write.checks.iter().map(|check| &check.key);
    let mutated = write.mutations.iter().map(|mutation| &mutation.key);
    for key in checked.chain(mutated) {
      self.check_write_key(key.len(), key.is_empty())?;
      total += key.len();
    }
    let mut total_keys = 0;
    for mutation in &write.mutations {
      if let MutationKind::SetWithVersionstamp(_) = mutation.kind {
        self.check_write_key(mutation.key.len() + VERSIONSTAMP_PART_BYTES, false)?;
      }
      if let Some(value) = mutation.kind.value() {
        if value.size() > self.value_bytes {
          return Err(KvError::ValueTooLarge(self.value_bytes));
        }
        if let Value::V8(clone) = value {
          self.check_depth(clone)?;
        }
        total += value.size() + mutation.key.len();
        total_keys += mutation.key.len();
      }
    }
    for enqueue in &write.enqueues {
      if enqueue.payload.len() > self.message_bytes {
        return Err(KvError::MessageTooLarge(self.message_bytes));
      }
      self.check_depth(&enqueue.payload)?;
      if enqueue.keys_if_undelivered.len() > self.undelivered_keys {
        return Err(KvError::TooManyUndeliveredKeys(self.undelivered_keys));
      }
      for key in &enqueue.keys_if_undelivered {
        self.check_write_key(key.len(), key.is_empty())?;
        total += key.len();
        total_keys += key.len();
      }
      total += enqueue.payload.len() + size_of_val(enqueue.backoff_schedule.as_slice());
    }
    if total > self.total_mutation_bytes {
      return Err(KvError::TotalMutationTooLarge(self.total_mutation_bytes));
    }
    if total_keys > self.total_key_bytes {
      return Err(KvError::TotalKeyTooLarge(self.total_key_bytes));
    }
    Ok(())
  }

  fn check_write_key(&self, bytes: usize, is_empty: bool) -> Result<(), KvError> {
    if is_empty {
      return Err(KvError::EmptyKey);
    }
    if bytes > self.write_key_bytes {
      return Err(KvError::KeyTooLargeToWrite(self.write_key_bytes));
    }
    Ok(())
  }

  fn check_depth(&self, clone: &[u8]) -> Result<(), KvError> {
    if wire::is_deeper_than(clone, self.value_depth) {
      return Err(KvError::TooDeep(self.value_depth));
    }
    Ok(())
  }
}
