//! Scripts and Rust on one store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deno_core::futures::StreamExt;
use kv_ext::store::{ErrorKind, StoreError};
use kv_ext::{JsErrorBox, JsValue, KvOptions, Location, Store, Value, key};
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
fn names_are_opened_by_their_scheme() {
  let store = Store::in_memory().unwrap();
  block_on(store.set(key!["who"], "the engine")).unwrap();
  let asked = Arc::new(AtomicU32::new(0));
  let (hook, backend) = (asked.clone(), store.backend().clone());
  let options = KvOptions::default()
    .open_hook(move |location| {
      hook.fetch_add(1, Ordering::Relaxed);
      match location {
        Location::Url(url) if url.host_str() == Some("forbidden") => {
          Err(JsErrorBox::new("NotCapable", format!("no access to {url}")))
        }
        location => Ok(location.clone()),
      }
    })
    .opener("shared", move |url| {
      let backend = backend.clone();
      async move {
        match url.host_str() {
          Some("down") => Err(StoreError::new(
            ErrorKind::Unavailable,
            format!("{url} is down"),
          )),
          _ => Ok(backend),
        }
      }
    });
  let mut runtime = with_kv(options);
  runtime.run(
    "const kv = await Deno.openKv('shared://users/1');
     assert((await kv.get(['who'], { consistency: 'eventual' })).value === 'the engine');
     await kv.set(['js'], true);
     const error = async (name) => {
       try { await Deno.openKv(name); return 'none'; } catch (error) { return `${error.name}: ${error.message}`; }
     };
     assert(await error('shared://down') === 'TypeError: shared://down is down', await error('shared://down'));
     assert((await error('shared://forbidden')).endsWith('no access to shared://forbidden'));
     assert(/KV Connect|DENO_KV_ACCESS_TOKEN|Could not open/.test(await error('https://db.example/')), await error('https://db.example/'));
     assert((await error('https://')).includes('invalid URL'), await error('https://'));
     kv.close();",
  );
  assert!(block_on(store.get(key!["js"])).unwrap().is_some());
  assert!(asked.load(Ordering::Relaxed) >= 4);
}
