use std::time::Duration;

use super::Store;
use super::queue::MessageOptions;
use crate::engine::{AtomicWrite, Check, CommitOutcome, Mutation, MutationKind};
use crate::error::KvError;
use crate::key::Key;
use crate::value::Value;
use crate::versionstamp::Versionstamp;

/// An atomic operation, being put together: see [`Store::atomic`].
///
/// What is wrong with an argument is said by [`commit`](Self::commit), which then stores nothing.
#[derive(Debug)]
#[must_use = "nothing happens before commit()"]
pub struct Atomic {
  store: Store,
  write: AtomicWrite,
  /// The first mistake.
  error: Option<KvError>,
}

impl Atomic {
  pub(super) fn new(store: Store) -> Self {
    Self {
      store,
      write: AtomicWrite::default(),
      error: None,
    }
  }

  /// The key must have been last written by this commit; with `None`, it must not be set.
  pub fn check(mut self, key: impl Into<Key>, versionstamp: Option<Versionstamp>) -> Self {
    if let Some(key) = self.encode(key) {
      self.write.checks.push(Check { key, versionstamp });
    }
    self
  }

  /// Stores a value.
  pub fn set(self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
    self.mutate(key, MutationKind::Set(value.into()), None)
  }

  /// Stores a value that is gone after so long, in whole milliseconds from now.
  pub fn set_expiring(
    self,
    key: impl Into<Key>,
    value: impl Into<Value>,
    expire_in: Duration,
  ) -> Self {
    let expire_at = self.after(expire_in);
    self.mutate(key, MutationKind::Set(value.into()), Some(expire_at))
  }

  /// Stores a value under the key followed by one more part: the commit's versionstamp, as a string.
  pub fn set_with_versionstamp(self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
    self.mutate(key, MutationKind::SetWithVersionstamp(value.into()), None)
  }

  /// Removes a key, if it is set.
  pub fn delete(self, key: impl Into<Key>) -> Self {
    self.mutate(key, MutationKind::Delete, None)
  }

  /// Adds to the `KvU64` that is stored, wrapping at 2^64; a key that is not set gets the number.
  /// [`sum_value`](Self::sum_value) adds to bigints and numbers.
  pub fn sum(self, key: impl Into<Key>, number: u64) -> Self {
    self.sum_value(key, Value::U64(number))
  }

  /// Adds to the number that is stored, which must be of the same kind: a `KvU64`, a bigint or a
  /// number.
  pub fn sum_value(self, key: impl Into<Key>, number: impl Into<Value>) -> Self {
    self.mutate(key, MutationKind::Sum(number.into()), None)
  }

  /// Keeps the smaller of the `KvU64` that is stored and this one.
  pub fn min(self, key: impl Into<Key>, number: u64) -> Self {
    self.mutate(key, MutationKind::Min(Value::U64(number)), None)
  }

  /// Keeps the larger of the `KvU64` that is stored and this one.
  pub fn max(self, key: impl Into<Key>, number: u64) -> Self {
    self.mutate(key, MutationKind::Max(Value::U64(number)), None)
  }

  /// Puts a message into the queue, with default options: it may be delivered at once.
  pub fn enqueue(self, message: impl Into<Value>) -> Self {
    self.enqueue_with(message, MessageOptions::default())
  }

  /// Puts a message into the queue.
  pub fn enqueue_with(mut self, message: impl Into<Value>, options: MessageOptions) -> Self {
    let now_ms = self.store.clock.now_ms();
    match options.enqueue(message.into(), now_ms, &self.store.limits) {
      Ok(enqueue) => self.write.enqueues.push(enqueue),
      Err(error) => self.fail(error),
    }
    self
  }

  /// Commits all of it, or nothing. Returns the versionstamp of the commit; `None`: a check failed.
  ///
  /// # Errors
  /// A key, a value or the operation as a whole is too large, a `sum`, `min` or `max` meets a value of
  /// another kind, or the file can't be written. Then nothing is stored.
  pub async fn commit(self) -> Result<Option<Versionstamp>, KvError> {
    Ok(match self.outcome().await? {
      CommitOutcome::Committed(versionstamp) => Some(versionstamp),
      CommitOutcome::CheckFailed(_) => None,
    })
  }

  pub(super) async fn outcome(self) -> Result<CommitOutcome, KvError> {
    if let Some(error) = self.error {
      return Err(error);
    }
    let limits = &self.store.limits;
    let changes = self.write.mutations.len() + self.write.enqueues.len();
    limits.check_counts(self.write.checks.len(), changes)?;
    limits.check_write(&self.write)?;
    Ok(self.store.backend.atomic_write(self.write).wait().await?)
  }

  fn mutate(mut self, key: impl Into<Key>, kind: MutationKind, expire_at: Option<u64>) -> Self {
    if let Some(key) = self.encode(key) {
      self.write.mutations.push(Mutation {
        key,
        kind,
        expire_at,
      });
    }
    self
  }

  fn encode(&mut self, key: impl Into<Key>) -> Option<Vec<u8>> {
    match key.into().encode() {
      Ok(key) => Some(key),
      Err(error) => {
        self.fail(error.into());
        None
      }
    }
  }

  fn fail(&mut self, error: KvError) {
    self.error.get_or_insert(error);
  }

  fn after(&self, duration: Duration) -> u64 {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // SQLite's integers end there, and so does any calendar.
    let last = i64::MAX.unsigned_abs();
    self.store.clock.now_ms().saturating_add(ms).min(last)
  }
}
