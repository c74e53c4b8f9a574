//! An engine over a `BTreeMap`: everything in memory, one lock, and the behaviour of all engines.
//!
//! ```
//! use std::sync::Arc;
//!
//! use kv_store::engine::SystemClock;
//! use kv_store::{Store, key};
//!
//! let engine = own_engine::Engine::new(Arc::new(SystemClock));
//! let store = Store::on(Arc::new(engine));
//! # let _ = store.get(key!["a"]);
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kv_store::engine::*;
use kv_store::{Value, Versionstamp};
use tokio::sync::Notify;

/// A handle on a database.
pub struct Engine {
  shared: Arc<Shared>,
  is_closed: AtomicBool,
  /// Watchers and listeners of the handle, which end when it closes.
  dependents: Mutex<(Vec<Notifier>, Vec<Weak<Listening>>)>,
}

struct Shared {
  data: Mutex<Data>,
  clock: Arc<dyn Clock>,
  /// Wakes listeners: messages may be due.
  due: Notify,
}

#[derive(Default)]
struct Data {
  version: u64,
  rows: BTreeMap<Vec<u8>, Row>,
  /// By the time that messages are due, and the order in which they came.
  queue: BTreeMap<(u64, u64), Enqueue>,
  last_message: u64,
  watchers: Vec<(Vec<Vec<u8>>, Weak<()>, Notifier)>,
}

struct Row {
  held: Held,
  expire_at: Option<u64>,
}

impl Shared {
  fn data(&self) -> MutexGuard<'_, Data> {
    let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
    data.remove_expired(self.clock.now_ms());
    data
  }

  fn put_back(&self, message: Enqueue) {
    let mut data = self.data();
    data.last_message += 1;
    let place = (message.due_at, data.last_message);
    data.queue.insert(place, message);
    self.due.notify_waiters();
  }
}

impl Data {
  fn remove_expired(&mut self, now_ms: u64) {
    let is_over = |row: &Row| row.expire_at.is_some_and(|expire_at| expire_at <= now_ms);
    let expired: Vec<_> = self.rows.extract_if(.., |_, row| is_over(row)).collect();
    for (key, _) in expired {
      self.wake(&key);
    }
  }

  fn wake(&mut self, key: &[u8]) {
    self.watchers.retain(|(keys, alive, notifier)| {
      if keys.iter().any(|watched| watched == key) {
        notifier.raise();
      }
      alive.strong_count() > 0
    });
  }

  fn set(
    &mut self,
    key: Vec<u8>,
    value: Value,
    expire_at: Option<u64>,
    versionstamp: Versionstamp,
  ) {
    self.wake(&key);
    let held = Held {
      value,
      versionstamp,
    };
    self.rows.insert(key, Row { held, expire_at });
  }

  fn read(&self, range: &ReadRange) -> Entries {
    let mut entries = Entries::default();
    let mut push = |(key, row): (&Vec<u8>, &Row)| {
      entries.push(key, row.held.value.as_ref(), row.held.versionstamp);
    };
    if range.start < range.end {
      let rows = self.rows.range(range.start.clone()..range.end.clone());
      let limit = range.limit.get() as usize;
      match range.reverse {
        true => rows.rev().take(limit).for_each(&mut push),
        false => rows.take(limit).for_each(&mut push),
      }
    }
    entries
  }

  /// Judges and applies a write. What it combines is worked out first, so that a failure changes nothing.
  fn write(&mut self, write: AtomicWrite) -> Result<CommitOutcome, StoreError> {
    let holds = |check: &Check| {
      let stored = self.rows.get(&check.key).map(|row| row.held.versionstamp);
      stored == check.versionstamp
    };
    let checks = (0..).zip(&write.checks);
    let failed = checks.filter_map(|(index, check)| (!holds(check)).then_some(index));
    let failed: Vec<u32> = failed.collect();
    if !failed.is_empty() {
      return Ok(CommitOutcome::CheckFailed(failed));
    }
    let versionstamp = Versionstamp::from_version(self.version + 1);
    let mut changes: BTreeMap<Vec<u8>, Option<(Value, Option<u64>)>> = BTreeMap::new();
    for Mutation {
      key,
      kind,
      expire_at,
    } in write.mutations
    {
      match kind {
        MutationKind::Set(value) => changes.insert(key, Some((value, expire_at))),
        MutationKind::SetWithVersionstamp(value) => {
          changes.insert(versionstamp.appended_to(&key), Some((value, expire_at)))
        }
        MutationKind::Delete => changes.insert(key, None),
        combining => {
          let stored = match changes.get(&key) {
            Some(change) => change.as_ref().map(|(value, _)| value.clone()),
            None => self.rows.get(&key).map(|row| row.held.value.clone()),
          };
          changes.insert(key, Some((number::combine(&combining, stored)?, None)))
        }
      };
    }
    self.version += 1;
    for (key, change) in changes {
      match change {
        Some((value, expire_at)) => self.set(key, value, expire_at, versionstamp),
        None => {
          self.rows.remove(&key);
          self.wake(&key);
        }
      }
    }
    for message in write.enqueues {
      self.last_message += 1;
      self
        .queue
        .insert((message.due_at, self.last_message), message);
    }
    Ok(CommitOutcome::Committed(versionstamp))
  }
}

impl Engine {
  /// An empty database.
  pub fn new(clock: Arc<dyn Clock>) -> Self {
    let shared = Arc::new(Shared {
      data: Mutex::default(),
      clock,
      due: Notify::new(),
    });
    let weak = Arc::downgrade(&shared);
    // Rows expire and messages fall due without a call.
    std::thread::spawn(move || {
      while let Some(shared) = weak.upgrade() {
        drop(shared.data());
        shared.due.notify_waiters();
        drop(shared);
        std::thread::sleep(Duration::from_millis(10));
      }
    });
    Self::on(shared)
  }

  fn on(shared: Arc<Shared>) -> Self {
    Self {
      shared,
      is_closed: AtomicBool::new(false),
      dependents: Mutex::default(),
    }
  }

  /// One more handle on the same database.
  pub fn handle(&self) -> Self {
    Self::on(self.shared.clone())
  }

  fn dependents(&self) -> MutexGuard<'_, (Vec<Notifier>, Vec<Weak<Listening>>)> {
    self
      .dependents
      .lock()
      .unwrap_or_else(PoisonError::into_inner)
  }

  fn open(&self) -> Result<&Arc<Shared>, StoreError> {
    match self.is_closed.load(Ordering::Acquire) {
      true => Err(StoreError::closed()),
      false => Ok(&self.shared),
    }
  }
}

impl Backend for Engine {
  fn snapshot_read(&self, ranges: Vec<ReadRange>, _: ReadOptions) -> Answer<Vec<Entries>> {
    Answer::ready(self.open().map(|shared| {
      let data = shared.data();
      ranges.iter().map(|range| data.read(range)).collect()
    }))
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let outcome = self.open().and_then(|shared| shared.data().write(write));
    self.shared.due.notify_waiters();
    Answer::ready(outcome)
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Result<Watcher, StoreError> {
    let (notifier, alive) = (Notifier::default(), Arc::new(()));
    let watcher = (keys, Arc::downgrade(&alive), notifier.clone());
    self.open()?.data().watchers.push(watcher);
    self.dependents().0.push(notifier.clone());
    Ok(Watcher::new(notifier, alive))
  }

  fn listen(&self) -> Result<Arc<dyn Listener>, StoreError> {
    let listening = Arc::new(Listening {
      shared: self.open()?.clone(),
      running: Mutex::default(),
      is_closed: AtomicBool::new(false),
    });
    self.dependents().1.push(Arc::downgrade(&listening));
    Ok(Arc::new(QueueListener(listening)))
  }

  fn close(&self) -> Answer<()> {
    self.is_closed.store(true, Ordering::Release);
    let (watchers, listeners) = std::mem::take(&mut *self.dependents());
    watchers.iter().for_each(Notifier::close);
    for listening in listeners.iter().filter_map(Weak::upgrade) {
      listening.close();
    }
    Answer::ready(Ok(()))
  }
}

struct QueueListener(Arc<Listening>);

struct Listening {
  shared: Arc<Shared>,
  /// Messages that were handed over, by id.
  running: Mutex<HashMap<String, Enqueue>>,
  is_closed: AtomicBool,
}

impl Listening {
  fn running(&self) -> MutexGuard<'_, HashMap<String, Enqueue>> {
    self.running.lock().unwrap_or_else(PoisonError::into_inner)
  }

  fn close(&self) {
    self.is_closed.store(true, Ordering::Release);
    self.shared.due.notify_waiters();
  }

  fn take(&self, max: usize) -> Vec<Message> {
    let (now_ms, mut data) = (self.shared.clock.now_ms(), self.shared.data());
    let mut messages = Vec::new();
    while messages.len() < max
      && let Some(first) = data.queue.first_entry()
      && first.key().0 <= now_ms
    {
      let ((_, number), message) = first.remove_entry();
      let (id, payload) = (number.to_string(), message.payload.clone());
      self.running().insert(id.clone(), message);
      messages.push(Message {
        id: MessageId::new(id),
        payload,
      });
    }
    messages
  }

  async fn receive(&self, max: usize) -> Result<Vec<Message>, StoreError> {
    loop {
      let due = self.shared.due.notified();
      if self.is_closed.load(Ordering::Acquire) {
        return Err(StoreError::closed());
      }
      let messages = self.take(max);
      if !messages.is_empty() {
        return Ok(messages);
      }
      due.await;
    }
  }
}

impl Listener for QueueListener {
  fn receive(&self, max: usize) -> Answer<Vec<Message>> {
    let listening = self.0.clone();
    Answer::from_future(async move { listening.receive(max).await })
  }

  fn ack(&self, id: MessageId) -> Answer<()> {
    self.0.running().remove(id.as_str());
    Answer::ready(Ok(()))
  }

  fn nack(&self, id: MessageId) -> Answer<()> {
    let Some(mut message) = self.0.running().remove(id.as_str()) else {
      return Answer::ready(Ok(()));
    };
    let shared = &self.0.shared;
    if message.backoff_schedule.is_empty() {
      let mut data = shared.data();
      data.version += 1;
      let versionstamp = Versionstamp::from_version(data.version);
      for key in message.keys_if_undelivered {
        data.set(key, Value::V8(message.payload.clone()), None, versionstamp);
      }
    } else {
      message.due_at = shared.clock.now_ms() + u64::from(message.backoff_schedule.remove(0));
      shared.put_back(message);
    }
    Answer::ready(Ok(()))
  }

  fn close(&self) {
    self.0.close();
  }
}

impl Drop for QueueListener {
  fn drop(&mut self) {
    self.close();
    for (_, message) in std::mem::take(&mut *self.0.running()) {
      self.0.shared.put_back(message);
    }
  }
}
