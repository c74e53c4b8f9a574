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

  /// The same with another number of intervals in a backoff schedule.
  #[must_use]
  pub fn with_backoff_intervals(mut self, intervals: usize) -> Self {
    self.backoff_intervals = intervals;
    self
  }

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
}
