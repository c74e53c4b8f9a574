//! The store from Rust.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kv_store::engine::{Backend, ErrorKind};
use kv_store::{
  Consistency, Durability, JsValue, KvError, Limits, ListOptions, MessageOptions, Selector, Store,
  Value, key,
};

fn block_on<T>(future: impl Future<Output = T>) -> T {
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  tokio.block_on(async {
    tokio::time::timeout(Duration::from_secs(60), future)
      .await
      .unwrap()
  })
}

/// On a database in memory, and on one in a file.
fn on_both(test: impl AsyncFn(Store)) {
  block_on(test(Store::in_memory().unwrap()));
  let folder = tempfile::TempDir::new().unwrap();
  block_on(test(Store::open(folder.path().join("kv")).unwrap()));
}

#[test]
fn what_is_set_is_got_and_what_is_deleted_is_not() {
  on_both(async |store| {
    let stamp = store.set(key!["a", 1], "one").await.unwrap();
    let entry = store.get(key!["a", 1]).await.unwrap().unwrap();
    assert_eq!(entry.key, key!["a", 1]);
    assert_eq!(entry.versionstamp, stamp);
    assert_eq!(entry.value.to_js().unwrap(), JsValue::from("one"));
    // A bigint is another part than a number.
    assert_eq!(store.get(key!["a", 1_i64]).await.unwrap(), None);
    let found = store.get_many([key!["b"], key!["a", 1]]).await.unwrap();
    assert_eq!(found, [None, Some(entry)]);
    store.delete(key!["a", 1]).await.unwrap();
    assert_eq!(store.get(key!["a", 1]).await.unwrap(), None);
  });
}

#[test]
fn an_atomic_operation_is_all_or_nothing() {
  on_both(async |store| {
    let first = store.atomic().check(key!["a"], None).set(key!["a"], 1);
    let stamp = first.sum(key!["n"], 5).commit().await.unwrap().unwrap();
    let failed = store
      .atomic()
      .check(key!["a"], None)
      .set(key!["b"], 1)
      .enqueue("m");
    assert_eq!(failed.commit().await.unwrap(), None);
    assert_eq!(store.get(key!["b"]).await.unwrap(), None);
    // What fails in its middle leaves nothing.
    let mistake = store.atomic().set(key!["b"], 1).sum(key!["a"], 1);
    assert!(matches!(mistake.commit().await, Err(KvError::Store(_))));
    assert_eq!(store.get(key!["b"]).await.unwrap(), None);
    let second = store
      .atomic()
      .check(key!["a"], Some(stamp))
      .delete(key!["a"]);
    let second = second.max(key!["n"], 9).min(key!["n"], 7);
    assert!(second.commit().await.unwrap().unwrap() > stamp);
    let n = store.get(key!["n"]).await.unwrap().unwrap().value;
    assert_eq!(n, Value::U64(7));
    let stamped = store.atomic().set_with_versionstamp(key!["log"], true);
    let stamp = stamped.commit().await.unwrap().unwrap();
    assert!(
      store
        .get(key!["log", stamp.to_string()])
        .await
        .unwrap()
        .is_some()
    );
  });
}

#[test]
fn limits_are_those_of_scripts_or_the_embedders() {
  block_on(async {
    let store = Store::in_memory().unwrap();
    let long = "x".repeat(3_000);
    assert!(matches!(
      store.get(key![long.clone()]).await,
      Err(KvError::KeyTooLargeToRead(2049))
    ));
    assert!(matches!(
      store.set(key![long], 1).await,
      Err(KvError::KeyTooLargeToWrite(2048))
    ));
    assert!(matches!(
      store.set(key!["a"], vec![0u8; 70_000]).await,
      Err(KvError::ValueTooLarge(65_536))
    ));
    assert!(matches!(store.set(key![], 1).await, Err(KvError::EmptyKey)));
    let mut limits = Limits::default();
    limits.value_bytes = 100_000;
    limits.total_mutation_bytes = 100_000;
    let store = store.with_limits(limits);
    store.set(key!["a"], vec![0u8; 70_000]).await.unwrap();
  });
}

#[test]
fn lists_go_both_ways_in_batches_and_go_on_at_a_cursor() {
  on_both(async |store| {
    let mut fill = store.atomic();
    for i in 0..250 {
      fill = fill.set(key!["n", i], i);
    }
    fill.set(key!["o"], 1).commit().await.unwrap().unwrap();
    let prefix = || Selector::prefix(&key!["n"]).unwrap();
    let numbers = async |options: ListOptions| -> Vec<u32> {
      let entries: Vec<_> = store.list(prefix(), options).try_collect().await.unwrap();
      entries
        .iter()
        .map(|entry| entry.value.deserialize().unwrap())
        .collect()
    };
    let all: Vec<u32> = (0..250).collect();
    assert_eq!(numbers(ListOptions::default()).await, all);
    let batch = NonZeroU32::new(7).unwrap();
    assert_eq!(numbers(ListOptions::default().batch_size(batch)).await, all);
    let backward = numbers(ListOptions::default().reverse().limit(120)).await;
    assert_eq!(
      backward,
      all.iter().rev().take(120).copied().collect::<Vec<_>>()
    );

    let mut list = store.list(prefix(), ListOptions::default());
    assert_eq!(list.cursor().unwrap(), "");
    for _ in 0..110 {
      list.next().await.unwrap().unwrap();
    }
    let rest = ListOptions::default().cursor(list.cursor().unwrap());
    assert_eq!(numbers(rest).await, all[110..]);

    let some = Selector::between(&key!["n", 5], &key!["n", 8]).unwrap();
    assert_eq!(store.list(some, ListOptions::default()).count().await, 3);
    let some = Selector::prefix_from(&key!["n"], &key!["n", 245]).unwrap();
    assert_eq!(store.list(some, ListOptions::default()).count().await, 5);
    let some = Selector::prefix_until(&key!["n"], &key!["n", 5]).unwrap();
    assert_eq!(store.list(some, ListOptions::default()).count().await, 5);

    let mut wrong = store.list(prefix(), ListOptions::default().cursor("!"));
    assert!(wrong.next().await.unwrap().is_err());
    assert!(wrong.next().await.is_none());
  });
}

#[test]
fn a_watch_says_what_is_and_what_changes() {
  on_both(async |store| {
    let mut watch = store.watch(vec![key!["a"], key!["b"]]).unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap(), [None, None]);
    store.set(key!["c"], 1).await.unwrap();
    store.set(key!["b"], 1).await.unwrap();
    store.set(key!["b"], 2).await.unwrap();
    let entries = watch.next().await.unwrap().unwrap();
    let b = entries[1].as_ref().unwrap();
    assert_eq!((b.value.deserialize::<u8>(), &entries[0]), (Ok(2), &None));
    store
      .set_expiring(key!["a"], 1, Duration::from_millis(30))
      .await
      .unwrap();
    assert!(watch.next().await.unwrap().unwrap()[0].is_some());
    // Its expiry is a change.
    assert!(watch.next().await.unwrap().unwrap()[0].is_none());
    let none: Vec<_> = store.watch(Vec::new()).unwrap().collect().await;
    assert!(none.is_empty());
  });
}

#[test]
fn messages_are_redelivered_on_failure() {
  on_both(async |store| {
    let again = MessageOptions::default()
      .backoff([Duration::ZERO])
      .keys_if_undelivered([key!["lost"]]);
    let enqueue = store.atomic().enqueue_with("m", again);
    enqueue.commit().await.unwrap().unwrap();
    let mut deliveries = store.listen(10);
    let delivery = deliveries.next().await.unwrap().unwrap();
    assert_eq!(delivery.value.deserialize::<String>().unwrap(), "m");
    delivery.nack().await.unwrap();
    // Dropped, which is a failure too, and its last.
    drop(deliveries.next().await.unwrap().unwrap());
    let mut lost = store.watch(vec![key!["lost"]]).unwrap();
    while lost.next().await.unwrap().unwrap()[0].is_none() {}
    store.enqueue("n").await.unwrap();
    let delivery = deliveries.next().await.unwrap().unwrap();
    delivery.ack().await.unwrap();
    let late = MessageOptions::default().delay(Duration::from_secs(86_400 * 31));
    assert!(
      store
        .atomic()
        .enqueue_with("m", late)
        .commit()
        .await
        .is_err()
    );
  });
}

#[test]
fn messages_handed_over_are_bounded() {
  on_both(async |store| {
    for i in 0..10 {
      store.enqueue(i).await.unwrap();
    }
    let mut deliveries = store.listen(3);
    let mut held = Vec::new();
    for _ in 0..3 {
      held.push(deliveries.next().await.unwrap().unwrap());
    }
    let more = tokio::time::timeout(Duration::from_millis(50), deliveries.next());
    assert!(more.await.is_err());
    let mut seen = HashSet::new();
    loop {
      let delivery = held.remove(0);
      seen.insert(delivery.value.deserialize::<u32>().unwrap());
      delivery.ack().await.unwrap();
      if seen.len() == 10 {
        break;
      }
      if held.is_empty() || seen.len() < 8 {
        held.push(deliveries.next().await.unwrap().unwrap());
      }
    }
  });
}

#[test]
fn ended_stream_hands_messages_on() {
  on_both(async |store| {
    for i in 0..3 {
      let once = MessageOptions::default().backoff([]);
      let enqueue = store.atomic().enqueue_with(i, once);
      enqueue.commit().await.unwrap().unwrap();
    }
    let mut first = store.listen(3);
    let delivery = first.next().await.unwrap().unwrap();
    drop(first);
    delivery.ack().await.unwrap();
    let second = store.listen(10).take(2);
    let rest: Vec<_> = second.map(|delivery| delivery.unwrap()).collect().await;
    assert_eq!(rest.len(), 2);
    for delivery in rest {
      delivery.ack().await.unwrap();
    }
  });
}

#[test]
fn a_store_that_can_not_be_opened_says_why() {
  let folder = tempfile::TempDir::new().unwrap();
  let error = Store::open(folder.path().join("missing/kv")).err().unwrap();
  assert!(error.to_string().contains("does not exist"), "{error}");
  assert_eq!(Durability::default(), Durability::Full);
}

#[test]
fn list_ends_whose_start_begins_its_end() {
  on_both(async |store| {
    store.set(key!["a"], 1).await.unwrap();
    let selector = Selector::between(&key!["a"], &key!["a", "b"]).unwrap();
    for reverse in [false, true] {
      let options = ListOptions::default().batch_size(NonZeroU32::MIN);
      let options = if reverse { options.reverse() } else { options };
      let found: Vec<_> = store
        .list(selector.clone(), options)
        .take(5)
        .try_collect()
        .await
        .unwrap();
      assert_eq!(found.len(), 1);
    }
  });
}

#[test]
fn builder_sets_options() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let limits = || {
    let mut limits = Limits::default();
    limits.value_bytes = 10;
    limits
  };
  block_on(async {
    let store = Store::builder(&path)
      .durability(Durability::Relaxed)
      .busy_timeout(Duration::from_millis(50))
      .limits(limits())
      .cache_size(1 << 20)
      .wal_index(false)
      .wal_preallocation(false)
      .open()
      .await
      .unwrap();
    let large = store.set(key!["a"], "x".repeat(20)).await.unwrap_err();
    assert!(matches!(large, KvError::ValueTooLarge(10)), "{large}");
    store.set(key!["a"], "x").await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = store.set(key!["a"], "y").await.unwrap_err();
    assert!(locked.to_string().contains("for 50 ms"), "{locked}");
    let KvError::Store(locked) = locked else {
      panic!("{locked:?}");
    };
    assert_eq!(locked.kind(), ErrorKind::Locked);
  });
}

#[test]
fn closing_moves_the_log_into_the_file() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  block_on(async {
    let store = Store::open(&path).unwrap();
    let clone = store.clone();
    let write = store.set(key!["a"], 1);
    drop(write);
    store.set(key!["b"], 2).await.unwrap();
    assert!(folder.path().join("kv-wal").exists());
    clone.close().await.unwrap();
    assert!(!folder.path().join("kv-wal").exists());
    let error = store.get(key!["b"]).await.unwrap_err();
    assert_eq!(error.to_string(), "Database is closed.");
    clone.close().await.unwrap();
    let again = Store::open(&path).unwrap();
    assert!(again.get(key!["b"]).await.unwrap().is_some());
  });
}

#[test]
fn stats_count() {
  let folder = tempfile::TempDir::new().unwrap();
  let store = Store::open(folder.path().join("kv")).unwrap();
  block_on(async {
    let before = store.stats();
    assert_eq!(
      (before.commits, before.watchers, before.listeners),
      (0, 0, 0)
    );
    for i in 0..5 {
      store.set(key!["a"], i).await.unwrap();
    }
    let writes: Vec<_> = (0..20)
      .map(|i| {
        let store = store.clone();
        async move { store.set(key!["b", i], i).await.unwrap() }
      })
      .collect();
    futures::future::join_all(writes).await;
    let _watch = store.watch([key!["a"]]).unwrap();
    let _listener = store.backend().listen().unwrap();
    let stats = store.stats();
    assert_eq!(stats.tasks, 25);
    assert!((6..=25).contains(&stats.commits), "{stats:?}");
    assert!(stats.largest_group > 1, "{stats:?}");
    assert!(stats.commit_time >= stats.slowest_commit && !stats.slowest_commit.is_zero());
    assert!(stats.log_bytes > 0 && stats.idle_readers > 0 && stats.cache_bytes > 0);
    assert_eq!((stats.watchers, stats.listeners), (1, 1));
    assert_eq!((stats.waiting_tasks, stats.waiting_bytes), (0, 0));
  });
}

#[test]
fn engines_limits_hold() {
  struct Small(Arc<dyn Backend>);

  // Everything but the limits is the other's.
  impl Backend for Small {
    fn snapshot_read(
      &self,
      ranges: Vec<kv_store::engine::ReadRange>,
      options: kv_store::engine::ReadOptions,
    ) -> kv_store::engine::Answer<Vec<kv_store::engine::Entries>> {
      // The consistency that was asked for arrives here.
      assert_eq!(options.consistency, Consistency::Eventual);
      self.0.snapshot_read(ranges, options)
    }
    fn atomic_write(
      &self,
      write: kv_store::engine::AtomicWrite,
    ) -> kv_store::engine::Answer<kv_store::engine::CommitOutcome> {
      self.0.atomic_write(write)
    }
    fn watch(
      &self,
      _: Vec<Vec<u8>>,
    ) -> Result<kv_store::engine::Watcher, kv_store::engine::StoreError> {
      Err(kv_store::engine::StoreError::new(
        ErrorKind::Unsupported,
        "no watch",
      ))
    }
    fn listen(&self) -> Result<Arc<dyn kv_store::engine::Listener>, kv_store::engine::StoreError> {
      Err(kv_store::engine::StoreError::new(
        ErrorKind::Unsupported,
        "no queue",
      ))
    }
    fn close(&self) -> kv_store::engine::Answer<()> {
      self.0.close()
    }
    fn capabilities(&self) -> kv_store::engine::Capabilities {
      let mut capabilities = self.0.capabilities();
      capabilities.limits.value_bytes = 100;
      capabilities
    }
  }

  let inner = Store::in_memory().unwrap().backend().clone();
  let store = Store::on(Arc::new(Small(inner))).with_limits(Limits::NONE);
  let store = store.with_consistency(Consistency::Eventual);
  block_on(async {
    let error = store.set(key!["a"], "x".repeat(200)).await.unwrap_err();
    assert!(matches!(error, KvError::ValueTooLarge(100)), "{error}");
    store.set(key!["a"], "x").await.unwrap();
    assert!(store.get(key!["a"]).await.unwrap().is_some());
    assert_eq!(
      store.watch([key!["a"]]).unwrap_err().to_string(),
      "no watch"
    );
    let delivery = store.listen(1).next().await.unwrap();
    assert_eq!(delivery.unwrap_err().to_string(), "no queue");
  });
}
