//! An isolate that is stopped in the middle of its work, as a worker is that somebody terminates.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use deno_core::PollEventLoopOptions;
use deno_core::futures::StreamExt;
use deno_core::v8::IsolateHandle;
use kv_ext::{KeyPart, KvOptions, ListOptions, Selector, Store, key};
use support::with_kv;
use tokio::sync::oneshot;

const ROUNDS: u64 = 25;

/// Writes pairs of keys, watches, listens and reads until it is stopped.
fn work(
  path: &str,
  round: u64,
  started: &mpsc::Sender<IsolateHandle>,
  stop: oneshot::Receiver<()>,
) {
  let mut worker = with_kv(KvOptions::default());
  started
    .send(worker.runtime.v8_isolate().thread_safe_handle())
    .unwrap();
  let script = format!(
    "(async () => {{
       const kv = await Deno.openKv('{path}');
       kv.listenQueue(() => {{}});
       for (let i = 0; ; i++) {{
         const writes = [];
         for (let j = 0; j < 5; j++) {{
           writes.push(
             kv.atomic().set(['a', {round}, i, j], i).set(['b', {round}, i, j], i).enqueue(i).commit(),
           );
         }}
         await Promise.all(writes);
         for await (const {{ value }} of kv.list({{ prefix: ['a', {round}] }}, {{ limit: 20 }})) {{
           JSON.stringify({{ value }});
         }}
       }}
     }})()"
  );
  worker.tokio.block_on(async {
    let promise = worker.runtime.execute_script("worker.js", script).unwrap();
    let resolved = Box::pin(worker.runtime.resolve(promise));
    let options = PollEventLoopOptions::default();
    let ended = worker.runtime.with_event_loop_promise(resolved, options);
    // Who terminates an isolate that waits for something must also end the wait.
    tokio::select! {
      result = ended => assert!(result.is_err()),
      _ = stop => {}
    }
  });
}

#[test]
fn terminated_isolate_leaves_nothing_partial() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = Store::open(&path).unwrap();
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  let mut pairs = 0;
  for round in 0..ROUNDS {
    let (started, handles) = mpsc::channel();
    let path = path.to_str().unwrap().to_owned();
    let (stop, stopped) = oneshot::channel();
    let worker = thread::spawn(move || work(&path, round, &started, stopped));
    let isolate = handles.recv().unwrap();
    thread::sleep(Duration::from_millis(20 + round * 3));
    isolate.terminate_execution();
    let _ = stop.send(());
    worker.join().unwrap();

    tokio.block_on(async {
      // Others go on.
      store.set(key!["round"], round as f64).await.unwrap();
      let all = Selector::prefix(&key!["a"]).unwrap();
      let mut list = store.list(all, ListOptions::default());
      pairs = 0;
      while let Some(entry) = list.next().await {
        let entry = entry.unwrap();
        let mut parts = entry.key.0.clone();
        parts[0] = KeyPart::from("b");
        let other = store.get(kv_ext::Key(parts)).await.unwrap().unwrap();
        assert_eq!(
          (other.value, other.versionstamp),
          (entry.value, entry.versionstamp)
        );
        pairs += 1;
      }
    });
  }
  assert!(pairs > 5 * ROUNDS, "{pairs}");
}
