//! Short forms of the calls.

use std::sync::Arc;
use std::time::Duration;

use kv_store::engine::{
  Answer, AtomicWrite, Backend, Change, Check, CommitOutcome, Enqueue, EntryRef, Held, Listener,
  Message, Mutation, MutationKind, ReadOptions, ReadRange, StoreError, Watcher,
};
use kv_store::{Value, Versionstamp};

/// How long something may take that is to happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// How long is waited for what is not to happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(150);

pub(crate) fn bytes(text: &str) -> Value {
  Value::Bytes(text.into())
}

pub(crate) fn mutation(key: &str, kind: MutationKind) -> Mutation {
  Mutation {
    key: key.into(),
    kind,
    expire_at: None,
  }
}

pub(crate) fn set(key: &str, value: &str) -> Mutation {
  mutation(key, MutationKind::Set(bytes(value)))
}

pub(crate) fn set_until(key: &str, value: &str, expire_at: u64) -> Mutation {
  Mutation {
    expire_at: Some(expire_at),
    ..set(key, value)
  }
}

pub(crate) fn delete(key: &str) -> Mutation {
  mutation(key, MutationKind::Delete)
}

pub(crate) fn check(key: &str, versionstamp: Option<Versionstamp>) -> Check {
  Check {
    key: key.into(),
    versionstamp,
  }
}

pub(crate) fn writes(mutations: impl Into<Vec<Mutation>>) -> AtomicWrite {
  AtomicWrite {
    mutations: mutations.into(),
    ..AtomicWrite::default()
  }
}

pub(crate) fn commit(store: &Arc<dyn Backend>, write: AtomicWrite) -> CommitOutcome {
  store.atomic_write(write).wait_blocking().unwrap()
}

/// Commits mutations that must succeed.
pub(crate) fn put(store: &Arc<dyn Backend>, mutations: impl Into<Vec<Mutation>>) -> Versionstamp {
  match commit(store, writes(mutations)) {
    CommitOutcome::Committed(versionstamp) => versionstamp,
    CommitOutcome::CheckFailed(_) => panic!("there is no check"),
  }
}

pub(crate) fn fails(store: &Arc<dyn Backend>, mutations: impl Into<Vec<Mutation>>) -> StoreError {
  store
    .atomic_write(writes(mutations))
    .wait_blocking()
    .unwrap_err()
}

pub(crate) fn range(start: &str, end: &str, limit: u32) -> ReadRange {
  ReadRange {
    start: start.into(),
    end: end.into(),
    limit: limit.try_into().unwrap(),
    reverse: false,
  }
}

pub(crate) fn backwards(start: &str, end: &str, limit: u32) -> ReadRange {
  ReadRange {
    reverse: true,
    ..range(start, end, limit)
  }
}

pub(crate) fn read_many(
  store: &Arc<dyn Backend>,
  ranges: Vec<ReadRange>,
) -> Vec<Vec<(String, Held)>> {
  found(store.snapshot_read(ranges, ReadOptions::default()))
}

pub(crate) fn found(answer: Answer<Vec<kv_store::engine::Entries>>) -> Vec<Vec<(String, Held)>> {
  let ranges = answer.wait_blocking().unwrap();
  let entry = |entry: EntryRef<'_>| {
    let key = String::from_utf8_lossy(entry.key).into_owned();
    (key, entry.to_held())
  };
  ranges
    .iter()
    .map(|range| range.iter().map(entry).collect())
    .collect()
}

/// The keys in a range.
pub(crate) fn keys(store: &Arc<dyn Backend>, range: ReadRange) -> Vec<String> {
  let entries = read_many(store, vec![range]).remove(0);
  entries.into_iter().map(|(key, _)| key).collect()
}

pub(crate) fn get(store: &Arc<dyn Backend>, key: &str) -> Option<Held> {
  let found = read_many(store, vec![ReadRange::point(key.into())]).remove(0);
  let held = found.into_iter().next().map(|(_, held)| held);
  // The short way, where there is one, finds the same.
  if let Some(at_once) = store.get_at_once(key.as_bytes(), ReadOptions::default()) {
    assert_eq!(at_once.unwrap(), held);
  }
  held
}

pub(crate) fn value(store: &Arc<dyn Backend>, key: &str) -> Option<Value> {
  get(store, key).map(|held| held.value)
}

pub(crate) fn text(store: &Arc<dyn Backend>, key: &str) -> Option<String> {
  value(store, key).map(|value| match value {
    Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
    other => panic!("{other:?}"),
  })
}

/// Waits for a future, or for so long.
pub(crate) fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Option<T> {
  let runtime = tokio::runtime::Builder::new_current_thread()
    .enable_time()
    .build()
    .unwrap();
  runtime.block_on(async { tokio::time::timeout(patience, future).await.ok() })
}

/// What a watcher is told next, if it is told something.
pub(crate) fn change(watcher: &Watcher, patience: Duration) -> Option<Option<Change>> {
  within(patience, watcher.changed()).map(Result::unwrap)
}

/// Nothing has happened for a while.
pub(crate) fn settle(watcher: &Watcher) {
  while change(watcher, A_WHILE).is_some_and(|change| change.is_some()) {}
}

/// Waits until a watcher was told of a change, after which `is_there` holds.
pub(crate) fn told(watcher: &Watcher, is_there: impl Fn() -> bool) {
  let mut is_told = false;
  while !(is_told && is_there()) {
    let change = change(watcher, SOON).expect("no change is told");
    assert!(change.is_some(), "the watcher is closed");
    is_told = true;
  }
}

pub(crate) fn message(payload: &str, due_at: u64) -> Enqueue {
  Enqueue {
    payload: payload.into(),
    due_at,
    backoff_schedule: vec![],
    keys_if_undelivered: vec![],
  }
}

pub(crate) fn enqueue(store: &Arc<dyn Backend>, messages: impl Into<Vec<Enqueue>>) {
  let write = AtomicWrite {
    enqueues: messages.into(),
    ..AtomicWrite::default()
  };
  assert!(matches!(commit(store, write), CommitOutcome::Committed(_)));
}

/// The next messages, if some come.
pub(crate) fn receive(
  listener: &Arc<dyn Listener>,
  max: usize,
  patience: Duration,
) -> Option<Vec<Message>> {
  within(patience, listener.receive(max).wait()).map(Result::unwrap)
}

/// The next messages, one at a time.
pub(crate) fn receive_some(listener: &Arc<dyn Listener>, count: usize) -> Vec<Message> {
  let mut messages = Vec::new();
  while messages.len() < count {
    let more = receive(listener, 1, SOON).expect("a message does not come");
    assert_eq!(more.len(), 1);
    messages.extend(more);
  }
  messages
}

pub(crate) fn payload(message: &Message) -> String {
  String::from_utf8(message.payload.clone()).unwrap()
}
