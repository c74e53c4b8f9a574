//! The store from Rust, without JavaScript, and beside it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use deno_core::futures::{StreamExt, TryStreamExt};
use kv_ext::{
  Durability, JsValue, KvError, KvOptions, Limits, ListOptions, MessageOptions, Selector, Store,
  Value, key,
};
use support::with_kv;

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
fn messages_are_delivered_and_come_again_when_they_fail() {
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
fn no_more_messages_are_handed_over_than_there_is_room_for() {
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
fn what_was_handed_over_to_a_stream_that_ends_goes_to_the_next_one() {
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
fn rust_and_scripts_share_a_file() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = Store::open(&path).unwrap();
  let mut runtime = with_kv(KvOptions::default().default_path(&path));
  let mut watch = store.watch(vec![key!["js"]]).unwrap();
  assert_eq!(block_on(watch.next()).unwrap().unwrap(), [None]);
  block_on(async {
    let user = serde_json::json!({ "name": "Ada", "tags": ["x", null], "n": 1.5, "big": u64::MAX });
    let user = Value::serialize(&user).unwrap();
    store.set(key!["user"], user).await.unwrap();
    store.enqueue("from Rust").await.unwrap();
  });
  runtime.run(
    "const kv = await Deno.openKv();
     const { value } = await kv.get(['user']);
     const shown = `${value.name} ${value.tags} ${value.n} ${value.big}`;
     assert(shown === 'Ada x, 1.5 18446744073709551615', shown);
     const message = await new Promise((resolve) => { kv.listenQueue(resolve); });
     assert(message === 'from Rust', message);
     const map = new Map([['a', new Set([1, 'x'])]]);
     await kv.set(['js'], { date: new Date(5), bytes: new Uint8Array([1, 2]), map, at: [1, , 3] });
     kv.close();",
  );
  // One notifier serves all of the process.
  let entries = block_on(watch.next()).unwrap().unwrap();
  let value = entries[0].as_ref().unwrap().value.clone();
  let expected = JsValue::object([
    ("date", JsValue::Date(5.0)),
    ("bytes", JsValue::Bytes(vec![1, 2])),
    (
      "map",
      JsValue::Map(vec![(
        "a".into(),
        JsValue::Set(vec![JsValue::from(1), "x".into()]),
      )]),
    ),
    (
      "at",
      JsValue::array([1.into(), JsValue::Undefined, 3.into()]),
    ),
  ]);
  assert_eq!(value.to_js().unwrap(), expected);
}

#[test]
fn what_rust_writes_javascript_reads_as_the_same_value() {
  let store = Store::in_memory().unwrap();
  let all = JsValue::object([
    ("undefined", JsValue::Undefined),
    ("null", JsValue::Null),
    ("bool", true.into()),
    ("int", (-7).into()),
    ("zero", JsValue::Number(-0.0)),
    ("double", 0.1.into()),
    (
      "bigint",
      JsValue::BigInt("-18446744073709551617".parse().unwrap()),
    ),
    ("latin", "é".into()),
    ("text", "żółw 🐢".into()),
    ("7", "an index".into()),
    ("date", JsValue::Date(1.0)),
    ("bytes", vec![1, 2, 3].into()),
    ("array", JsValue::array([1.into(), "x".into()])),
    ("map", JsValue::Map(vec![(1.into(), 2.into())])),
    ("set", JsValue::Set(vec!["x".into()])),
  ]);
  block_on(store.set(key!["all"], all)).unwrap();
  block_on(store.set(key!["u64"], JsValue::U64(u64::MAX))).unwrap();
  let mut runtime = with_kv(KvOptions::default().default_store(store.clone()));
  runtime.run(
    "const kv = await Deno.openKv();
     const { value: v } = await kv.get(['all']);
     assert('undefined' in v && v.undefined === undefined && v.null === null && v.bool === true);
     assert(v.int === -7 && Object.is(v.zero, -0) && v.double === 0.1);
     assert(v.bigint === -18446744073709551617n && v.latin === 'é' && v.text === 'żółw 🐢');
     assert(v[7] === 'an index' && Object.keys(v)[0] === '7');
     assert(v.date instanceof Date && v.date.getTime() === 1);
     assert(v.bytes instanceof Uint8Array && v.bytes.join() === '1,2,3');
     assert(Array.isArray(v.array) && v.array.join() === '1,x');
     assert(v.map.get(1) === 2 && v.set.has('x'));
     assert((await kv.get(['u64'])).value.value === 18446744073709551615n);
     // The store is the embedder's: closing a handle leaves it open.
     kv.close();
     await (await Deno.openKv()).set(['seen'], true);",
  );
  assert!(block_on(store.get(key!["seen"])).unwrap().is_some());
}

#[test]
fn a_store_that_can_not_be_opened_says_why() {
  let folder = tempfile::TempDir::new().unwrap();
  let error = Store::open(folder.path().join("missing/kv")).err().unwrap();
  assert!(error.to_string().contains("does not exist"), "{error}");
  assert_eq!(Durability::default(), Durability::Full);
}
