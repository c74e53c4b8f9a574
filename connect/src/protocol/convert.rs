//! Between the messages and the types of engines.

use std::num::NonZeroU32;

use kv_store::engine::{
  self, CommitOutcome, DEFAULT_BACKOFF_MS, Entries, EntryRef, Held, ReadRange,
};
use kv_store::{KvError, Limits, Value, Versionstamp};

use super::messages::{
  AtomicWrite, AtomicWriteOutput, AtomicWriteStatus, Check, Enqueue, KvEntry, KvValue, Mutation,
  MutationType, ReadRange as RangeMessage, ReadRangeOutput, SnapshotRead, SnapshotReadOutput,
  SnapshotReadStatus, ValueEncoding, Watch,
};

/// Why a server refuses a request, in words for the client.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRequest {
  /// A limit is exceeded.
  #[error(transparent)]
  Limit(#[from] KvError),
  /// A range of which nothing, or a negative number of entries, is to be read.
  #[error("limit must be greater than 0")]
  ReadLimit,
  /// A versionstamp of another length than 10 bytes.
  #[error("invalid versionstamp: {0} bytes instead of 10")]
  Versionstamp(usize),
  /// No mutation that is known, or one without the value that it needs.
  #[error("Invalid mutation kind or arguments.")]
  Mutation,
  /// A value that can't be stored.
  #[error("invalid value: {0}")]
  Value(&'static str),
  /// An expiry before 1970.
  #[error("invalid expiration: {0}")]
  Expiry(i64),
  /// A time before 1970 for a message.
  #[error("invalid deadline: {0}")]
  Deadline(i64),
}

impl SnapshotRead {
  /// The ranges, if the limits allow them.
  ///
  /// # Errors
  /// They don't.
  pub fn ranges(self, limits: &Limits) -> Result<Vec<ReadRange>, InvalidRequest> {
    if self.ranges.len() > limits.read_ranges {
      return Err(KvError::TooManyRanges(limits.read_ranges).into());
    }
    let mut total = 0_usize;
    let ranges = self.ranges.into_iter().map(|range| {
      let limit = u32::try_from(range.limit).ok().and_then(NonZeroU32::new);
      let limit = limit.ok_or(InvalidRequest::ReadLimit)?;
      total = total.saturating_add(limit.get() as usize);
      if total > limits.read_entries {
        return Err(KvError::TooManyEntries(limits.read_entries).into());
      }
      limits.check_read_key(&range.start)?;
      limits.check_read_key(&range.end)?;
      Ok(ReadRange {
        start: range.start,
        end: range.end,
        limit,
        reverse: range.reverse,
      })
    });
    ranges.collect()
  }
}

impl From<ReadRange> for RangeMessage {
  fn from(range: ReadRange) -> Self {
    Self {
      start: range.start,
      end: range.end,
      limit: range.limit.get().try_into().unwrap_or(i32::MAX),
      reverse: range.reverse,
    }
  }
}

impl SnapshotReadOutput {
  /// The answer with what was read.
  pub fn success(ranges: &[Entries], is_strong: bool) -> Self {
    let ranges = ranges.iter().map(|entries| ReadRangeOutput {
      values: entries.iter().map(KvEntry::from).collect(),
    });
    Self {
      ranges: ranges.collect(),
      read_disabled: false,
      read_is_strongly_consistent: is_strong,
      status: SnapshotReadStatus::Success.into(),
    }
  }
}

impl From<EntryRef<'_>> for KvEntry {
  fn from(entry: EntryRef<'_>) -> Self {
    let KvValue { data, encoding } = KvValue::from(&entry.value.to_value());
    Self {
      key: entry.key.to_vec(),
      value: data,
      encoding,
      versionstamp: entry.versionstamp.0.to_vec(),
    }
  }
}

impl From<&Value> for KvValue {
  fn from(value: &Value) -> Self {
    value.with_stored(|bytes, encoding| Self {
      data: bytes.to_vec(),
      // An encoding that no client knows stays unknown.
      encoding: encoding.try_into().unwrap_or(i32::MAX),
    })
  }
}

impl KvValue {
  /// The value, if it is one that can be stored.
  fn checked(self) -> Result<Value, InvalidRequest> {
    match ValueEncoding::try_from(self.encoding) {
      Ok(ValueEncoding::V8) => Ok(Value::V8(self.data)),
      Ok(ValueEncoding::Bytes) => Ok(Value::Bytes(self.data)),
      Ok(ValueEncoding::Le64) => {
        let bytes = <[u8; 8]>::try_from(self.data.as_slice());
        let bytes = bytes.map_err(|_| InvalidRequest::Value("a U64 has 8 bytes"))?;
        Ok(Value::U64(u64::from_le_bytes(bytes)))
      }
      Ok(ValueEncoding::Unspecified) | Err(_) => {
        Err(InvalidRequest::Value("its encoding is unknown"))
      }
    }
  }
}

fn versionstamp(bytes: &[u8]) -> Result<Versionstamp, usize> {
  bytes.try_into().map(Versionstamp).map_err(|_| bytes.len())
}

impl AtomicWrite {
  /// The write, if the limits allow it. `now_ms` is what the delay of a message is measured from.
  ///
  /// # Errors
  /// They don't, or something in it means nothing.
  pub fn checked(
    self,
    limits: &Limits,
    now_ms: u64,
  ) -> Result<engine::AtomicWrite, InvalidRequest> {
    limits.check_counts(
      self.checks.len(),
      self.mutations.len() + self.enqueues.len(),
    )?;
    let checks = self.checks.into_iter().map(Check::checked);
    let mutations = self.mutations.into_iter().map(Mutation::checked);
    let enqueues = self.enqueues.into_iter();
    let enqueues = enqueues.map(|enqueue| enqueue.checked(limits, now_ms));
    let write = engine::AtomicWrite {
      id: None,
      checks: checks.collect::<Result<_, _>>()?,
      mutations: mutations.collect::<Result<_, _>>()?,
      enqueues: enqueues.collect::<Result<_, _>>()?,
    };
    limits.check_write(&write)?;
    Ok(write)
  }
}

impl From<&engine::AtomicWrite> for AtomicWrite {
  fn from(write: &engine::AtomicWrite) -> Self {
    Self {
      checks: write.checks.iter().map(Check::from).collect(),
      mutations: write.mutations.iter().map(Mutation::from).collect(),
      enqueues: write.enqueues.iter().map(Enqueue::from).collect(),
    }
  }
}

impl Check {
  fn checked(self) -> Result<engine::Check, InvalidRequest> {
    let versionstamp = match self.versionstamp.as_slice() {
      [] => None,
      bytes => Some(versionstamp(bytes).map_err(InvalidRequest::Versionstamp)?),
    };
    Ok(engine::Check {
      key: self.key,
      versionstamp,
    })
  }
}

impl From<&engine::Check> for Check {
  fn from(check: &engine::Check) -> Self {
    let versionstamp = check.versionstamp;
    Self {
      key: check.key.clone(),
      versionstamp: versionstamp.map_or(Vec::new(), |versionstamp| versionstamp.0.to_vec()),
    }
  }
}

impl Mutation {
  fn checked(self) -> Result<engine::Mutation, InvalidRequest> {
    use engine::MutationKind;
    let expire_at = match self.expire_at_ms {
      0 | -1 => None,
      ms => Some(u64::try_from(ms).map_err(|_| InvalidRequest::Expiry(ms))?),
    };
    let has_bounds = !self.sum_min.is_empty() || !self.sum_max.is_empty();
    let value = self.value;
    let value = || value.ok_or(InvalidRequest::Mutation)?.checked();
    let kind = match MutationType::try_from(self.mutation_type) {
      Ok(MutationType::Set) => MutationKind::Set(value()?),
      // Deno sends an empty value, npm none.
      Ok(MutationType::Delete) => MutationKind::Delete,
      Ok(MutationType::Sum) if has_bounds => {
        return Err(InvalidRequest::Value("bounds of a sum are not supported"));
      }
      Ok(MutationType::Sum) => MutationKind::Sum(value()?),
      Ok(MutationType::Max) => MutationKind::Max(value()?),
      Ok(MutationType::Min) => MutationKind::Min(value()?),
      Ok(MutationType::SetSuffixVersionstampedKey) => MutationKind::SetWithVersionstamp(value()?),
      Ok(MutationType::Unspecified) | Err(_) => return Err(InvalidRequest::Mutation),
    };
    Ok(engine::Mutation {
      key: self.key,
      kind,
      expire_at,
    })
  }
}

impl From<&engine::Mutation> for Mutation {
  fn from(mutation: &engine::Mutation) -> Self {
    use engine::MutationKind;
    let mutation_type = match mutation.kind {
      MutationKind::Set(_) => MutationType::Set,
      MutationKind::SetWithVersionstamp(_) => MutationType::SetSuffixVersionstampedKey,
      MutationKind::Delete => MutationType::Delete,
      MutationKind::Sum(_) => MutationType::Sum,
      MutationKind::Min(_) => MutationType::Min,
      MutationKind::Max(_) => MutationType::Max,
    };
    // 0 is never; what has expired in 1970 has expired a millisecond later.
    let expire_at_ms = mutation
      .expire_at
      .map_or(0, |ms| i64::try_from(ms.max(1)).unwrap_or(i64::MAX));
    Self {
      key: mutation.key.clone(),
      value: mutation.kind.value().map(KvValue::from),
      mutation_type: mutation_type.into(),
      expire_at_ms,
      ..Self::default()
    }
  }
}

impl Enqueue {
  fn checked(self, limits: &Limits, now_ms: u64) -> Result<engine::Enqueue, InvalidRequest> {
    let invalid = |_| InvalidRequest::Deadline(self.deadline_ms);
    let due_at = u64::try_from(self.deadline_ms).map_err(invalid)?;
    let delay = due_at.saturating_sub(now_ms);
    limits.check_delay(delay as f64, &format!("{delay}"))?;
    limits.check_backoff_count(self.backoff_schedule.len())?;
    for (index, ms) in self.backoff_schedule.iter().enumerate() {
      limits.check_backoff_interval(index, f64::from(*ms))?;
    }
    let is_usual = self.backoff_schedule.is_empty() && !self.is_not_retried;
    let backoff_schedule = match is_usual {
      true => DEFAULT_BACKOFF_MS.to_vec(),
      false => self.backoff_schedule,
    };
    Ok(engine::Enqueue {
      payload: self.payload,
      due_at,
      backoff_schedule,
      keys_if_undelivered: self.keys_if_undelivered,
    })
  }
}

impl From<&engine::Enqueue> for Enqueue {
  fn from(enqueue: &engine::Enqueue) -> Self {
    Self {
      payload: enqueue.payload.clone(),
      deadline_ms: enqueue.due_at.try_into().unwrap_or(i64::MAX),
      keys_if_undelivered: enqueue.keys_if_undelivered.clone(),
      backoff_schedule: enqueue.backoff_schedule.clone(),
      is_not_retried: enqueue.backoff_schedule.is_empty(),
    }
  }
}

impl From<CommitOutcome> for AtomicWriteOutput {
  fn from(outcome: CommitOutcome) -> Self {
    match outcome {
      CommitOutcome::Committed(versionstamp) => Self {
        status: AtomicWriteStatus::Success.into(),
        versionstamp: versionstamp.0.to_vec(),
        failed_checks: Vec::new(),
      },
      CommitOutcome::CheckFailed(failed_checks) => Self {
        status: AtomicWriteStatus::CheckFailure.into(),
        versionstamp: Vec::new(),
        failed_checks,
      },
    }
  }
}

impl Watch {
  /// The keys, if the limits allow them.
  ///
  /// # Errors
  /// They don't.
  pub fn keys(self, limits: &Limits) -> Result<Vec<Vec<u8>>, InvalidRequest> {
    if self.keys.len() > limits.watch_keys {
      return Err(KvError::TooManyKeys(limits.watch_keys).into());
    }
    let keys: Vec<_> = self.keys.into_iter().map(|key| key.key).collect();
    for key in &keys {
      limits.check_read_key(key)?;
    }
    Ok(keys)
  }
}

/// Why a client can't use a server's answer.
#[derive(Debug, thiserror::Error)]
pub enum InvalidResponse {
  /// A versionstamp of another length than 10 bytes.
  #[error("a versionstamp has {0} bytes instead of 10")]
  Versionstamp(usize),
  /// Not as many ranges, or keys, as were asked for.
  #[error("{0} ranges instead of {1}")]
  Ranges(usize, usize),
  /// More entries than were asked for, or others.
  #[error("an entry that was not asked for")]
  Entry,
}

impl KvEntry {
  /// What the key holds.
  ///
  /// # Errors
  /// It has no versionstamp.
  pub fn held(&self) -> Result<Held, InvalidResponse> {
    Ok(Held {
      value: Value::from_stored(&self.value, self.encoding.into()),
      versionstamp: versionstamp(&self.versionstamp).map_err(InvalidResponse::Versionstamp)?,
    })
  }
}

impl SnapshotReadOutput {
  /// The entries of these ranges.
  ///
  /// # Errors
  /// They are no answer to what was asked.
  pub fn entries(&self, asked: &[ReadRange]) -> Result<Vec<Entries>, InvalidResponse> {
    if self.ranges.len() != asked.len() {
      return Err(InvalidResponse::Ranges(self.ranges.len(), asked.len()));
    }
    let ranges = asked.iter().zip(&self.ranges);
    ranges.map(|(asked, range)| range.entries(asked)).collect()
  }
}

impl ReadRangeOutput {
  fn entries(&self, asked: &ReadRange) -> Result<Entries, InvalidResponse> {
    if self.values.len() > asked.limit.get() as usize {
      return Err(InvalidResponse::Entry);
    }
    let mut entries = Entries::default();
    let mut last: Option<&[u8]> = None;
    for entry in &self.values {
      let key = entry.key.as_slice();
      let is_within = *asked.start <= *key && *key < *asked.end;
      let is_in_order = match (last, asked.reverse) {
        (None, _) => true,
        (Some(last), false) => last < key,
        (Some(last), true) => last > key,
      };
      if !is_within || !is_in_order {
        return Err(InvalidResponse::Entry);
      }
      last = Some(key);
      let versionstamp =
        versionstamp(&entry.versionstamp).map_err(InvalidResponse::Versionstamp)?;
      let value = kv_store::ValueRef::from_stored(&entry.value, entry.encoding.into());
      entries.push(key, value, versionstamp);
    }
    Ok(entries)
  }
}

impl AtomicWriteOutput {
  /// The versionstamp of a commit.
  ///
  /// # Errors
  /// It is none.
  pub fn committed(&self) -> Result<Versionstamp, InvalidResponse> {
    versionstamp(&self.versionstamp).map_err(InvalidResponse::Versionstamp)
  }
}
