//! A runtime from a snapshot. A process of its own: V8 shares a part of the heap between all isolates of one,
//! which must not come from different snapshots.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use deno_core::{JsRuntimeForSnapshot, RuntimeOptions};
use kv_ext::KvOptions;
use support::Embedder;

#[test]
fn it_works_from_a_snapshot_that_contains_it() {
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  let entered = tokio.enter();
  let snapshot = JsRuntimeForSnapshot::new(RuntimeOptions {
    extensions: vec![kv_ext::lazy_init()],
    ..Default::default()
  })
  .snapshot();
  // A snapshot outlives every runtime made from it.
  let snapshot: &'static [u8] = Box::leak(snapshot);
  let runtime = deno_core::JsRuntime::new(RuntimeOptions {
    startup_snapshot: Some(snapshot),
    extensions: vec![kv_ext::init(KvOptions::default())],
    ..Default::default()
  });
  drop(entered);
  let mut embedder = Embedder { runtime, tokio };
  embedder.run(
    "const kv = await Deno.openKv(':memory:');
     await kv.set(['a'], { n: 1 });
     if ((await kv.get(['a'])).value.n !== 1) throw new Error('value');
     const entries = [];
     for await (const { key } of kv.list({ prefix: [] })) entries.push(key[0]);
     if (entries.join() !== 'a') throw new Error(entries.join());
     kv.close();",
  );
}
