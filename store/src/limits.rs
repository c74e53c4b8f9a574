use crate::engine::{AtomicWrite, MutationKind};
use crate::error::KvError;
use crate::value::Value;
use crate::wire;

/// What the commit's versionstamp adds to a key: a string of 20 digits, its tag and its end.
const VERSIONSTAMP_PART_BYTES: usize = 22;

/// The sizes and counts a call may have. Each has a `TypeError` of its own that names it.
///
/// The default is Deno's; an embedder can change them with
/// `limits` of `kv_ext::KvOptions`.
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
  /// Bytes of keys in one atomic operation: 81,920.
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
  /// Whether an encoded key, or a boundary of a range, may be read.
  ///
  /// # Errors
  /// The limit that is exceeded.
  pub fn check_read_key(&self, key: &[u8]) -> Result<(), KvError> {
    self.check_read_length(key.len())
  }

  /// The same for a key of so many bytes.
  ///
  /// # Errors
  /// The limit that is exceeded.
  pub fn check_read_length(&self, bytes: usize) -> Result<(), KvError> {
    if bytes > self.read_key_bytes {
      return Err(KvError::KeyTooLargeToRead(self.read_key_bytes));
    }
    Ok(())
  }

  /// Whether an atomic operation may have so many parts. Checked before they are looked at.
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

  /// Whether an atomic operation's keys and values may be written. The sums are Deno's: a key
  /// counts once for being there and once more with its value.
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
