use std::num::NonZeroU32;

use crate::engine::{AtomicWrite, MutationKind};
use crate::error::KvError;
use crate::value::Value;
use crate::wire;

/// The bytes that a commit's versionstamp adds to a key: a string of 20 digits with its tag and terminator.
const VERSIONSTAMP_PART_BYTES: usize = 22;

/// Limits on the sizes and counts in a call. A call beyond one fails with an error that names the limit: a
/// `RangeError` for `value_depth`, a `TypeError` for the others.
///
/// The defaults are Deno's, except `value_depth` and `undelivered_keys`, which Deno does not limit. An embedder changes
/// them with `limits` of `kv_ext::KvOptions`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
  /// Bytes of an encoded key in a check or a mutation: 2048.
  pub write_key_bytes: usize,
  /// Bytes of an encoded key to read, or of a boundary of a range: 2049.
  pub read_key_bytes: usize,
  /// Bytes of a value as it is stored: 65,536.
  pub value_bytes: usize,
  /// Keys in one `getMany`: 10.
  pub read_ranges: usize,
  /// Entries in one read, which is one batch of a `list`: 1000.
  pub read_entries: usize,
  /// Checks in one atomic operation: 100.
  pub checks: usize,
  /// Mutations in one atomic operation: 1000.
  pub mutations: usize,
  /// Bytes of keys and values in one atomic operation: 819,200.
  pub total_mutation_bytes: usize,
  /// Bytes of keys that one atomic operation sets, and of `undelivered_keys`: 81,920.
  pub total_key_bytes: usize,
  /// Keys in one `watch`: 10.
  pub watch_keys: usize,
  /// Bytes of a message as it is stored: 65,536. A message counts as a mutation, and its bytes as
  /// mutation bytes.
  pub message_bytes: usize,
  /// Keys that a message is written to when it can't be delivered: 10. They count as keys of mutations.
  pub undelivered_keys: usize,
  /// Objects inside one another in a value or a message: 2000. A deeper one could be stored, and not read back.
  pub value_depth: usize,
  /// Milliseconds that a message may be delayed: 30 days.
  pub queue_delay_ms: u64,
  /// Intervals in a backoff schedule: 5.
  pub backoff_intervals: usize,
  /// Milliseconds of an interval in a backoff schedule: an hour.
  pub backoff_interval_ms: u32,
}

impl Default for Limits {
  fn default() -> Self {
    Self {
      write_key_bytes: 2048,
      read_key_bytes: 2049,
      value_bytes: 65_536,
      read_ranges: 10,
      read_entries: 1000,
      checks: 100,
      mutations: 1000,
      total_mutation_bytes: 819_200,
      total_key_bytes: 81_920,
      watch_keys: 10,
      message_bytes: 65_536,
      undelivered_keys: 10,
      value_depth: 2000,
      queue_delay_ms: 30 * 24 * 3_600_000,
      backoff_intervals: 5,
      backoff_interval_ms: 3_600_000,
    }
  }
}

impl Limits {
  /// No limits.
  pub const NONE: Self = Self {
    write_key_bytes: usize::MAX,
    read_key_bytes: usize::MAX,
    value_bytes: usize::MAX,
    read_ranges: usize::MAX,
    read_entries: usize::MAX,
    checks: usize::MAX,
    mutations: usize::MAX,
    total_mutation_bytes: usize::MAX,
    total_key_bytes: usize::MAX,
    watch_keys: usize::MAX,
    message_bytes: usize::MAX,
    undelivered_keys: usize::MAX,
    value_depth: usize::MAX,
    queue_delay_ms: u64::MAX,
    backoff_intervals: usize::MAX,
    backoff_interval_ms: u32::MAX,
  };

  /// Takes the lower value of each limit.
  #[must_use]
  pub fn and(&self, other: &Self) -> Self {
    Self {
      write_key_bytes: self.write_key_bytes.min(other.write_key_bytes),
      read_key_bytes: self.read_key_bytes.min(other.read_key_bytes),
      value_bytes: self.value_bytes.min(other.value_bytes),
      read_ranges: self.read_ranges.min(other.read_ranges),
      read_entries: self.read_entries.min(other.read_entries),
      checks: self.checks.min(other.checks),
      mutations: self.mutations.min(other.mutations),
      total_mutation_bytes: self.total_mutation_bytes.min(other.total_mutation_bytes),
      total_key_bytes: self.total_key_bytes.min(other.total_key_bytes),
      watch_keys: self.watch_keys.min(other.watch_keys),
      message_bytes: self.message_bytes.min(other.message_bytes),
      undelivered_keys: self.undelivered_keys.min(other.undelivered_keys),
      value_depth: self.value_depth.min(other.value_depth),
      queue_delay_ms: self.queue_delay_ms.min(other.queue_delay_ms),
      backoff_intervals: self.backoff_intervals.min(other.backoff_intervals),
      backoff_interval_ms: self.backoff_interval_ms.min(other.backoff_interval_ms),
    }
  }

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
