//! The extension in a runtime of somebody else's: no `deno_web`, no snapshot.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use deno_core::{JsRuntime, PollEventLoopOptions, RuntimeOptions};
use kv_ext::{KvOptions, Limits};

fn runtime(options: KvOptions) -> JsRuntime {
  JsRuntime::new(RuntimeOptions {
    extensions: vec![kv_ext::init(options)],
    ..Default::default()
  })
}

/// Runs an async function's body; what it throws fails the test.
fn run(runtime: &mut JsRuntime, body: &'static str) {
  tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap()
    .block_on(async {
      let script = format!("(async () => {{ {body} }})()");
      let promise = runtime.execute_script("test.js", script).unwrap();
      let resolved = runtime.resolve(promise);
      let options = PollEventLoopOptions::default();
      runtime
        .with_event_loop_promise(Box::pin(resolved), options)
        .await
        .unwrap();
    });
}

const ASSERT: &str = "function assert(ok, what) { if (!ok) throw new Error(what); }";

#[test]
fn a_script_stores_and_another_runtime_finds_it() {
  let folder = tempfile::TempDir::new().unwrap();
  let options = KvOptions::default()
    .default_path(folder.path().join("sub/kv.sqlite3"))
    .default_label("file:///app.js");
  let mut first = runtime(options.clone());
  run(
    &mut first,
    "const kv = await Deno.openKv();
     await kv.set(['a'], { n: 1n, d: new Date(5) });
     await kv.atomic().sum(['n'], 5n).commit();",
  );
  drop(first);
  let label = std::fs::read_to_string(folder.path().join("sub/script.txt")).unwrap();
  assert_eq!(label, "file:///app.js\n");
  let mut second = runtime(options);
  second.execute_script("assert.js", ASSERT).unwrap();
  run(
    &mut second,
    "const kv = await Deno.openKv();
     const { value } = await kv.get(['a']);
     assert(value.n === 1n && value.d.getTime() === 5, 'value');
     assert((await kv.get(['n'])).value.value === 5n, 'sum');
     kv.close();",
  );
}

#[test]
fn a_runtime_that_is_dropped_lets_go_of_its_files() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv.sqlite3");
  let mut runtime = runtime(KvOptions::default().default_path(&path));
  run(
    &mut runtime,
    "globalThis.handles = [await Deno.openKv(), await Deno.openKv()];
     await handles[0].set(['a'], 1);",
  );
  assert!(wal(&path).exists());
  drop(runtime);
  // The last connection to close takes the log with it.
  assert!(!wal(&path).exists());
}

fn wal(path: &Path) -> std::path::PathBuf {
  path.with_extension("sqlite3-wal")
}

#[test]
fn without_a_default_path_one_must_be_given() {
  let mut runtime = runtime(KvOptions::default());
  runtime.execute_script("assert.js", ASSERT).unwrap();
  run(
    &mut runtime,
    "let error;
     try { await Deno.openKv(); } catch (e) { error = e; }
     assert(error instanceof TypeError && error.message.includes('no default database'), error);
     (await Deno.openKv(':memory:')).close();",
  );
}

#[test]
fn an_embedder_sets_its_own_limits() {
  let mut limits = Limits::default();
  limits.value_bytes = 10;
  let mut runtime = runtime(KvOptions::default().limits(limits));
  runtime.execute_script("assert.js", ASSERT).unwrap();
  run(
    &mut runtime,
    "const kv = await Deno.openKv(':memory:');
     let error;
     try { await kv.set(['a'], 'longer than ten'); } catch (e) { error = e; }
     assert(error.message === 'Value too large (max 10 bytes)', error.message);
     kv.close();",
  );
}

#[test]
fn nothing_else_of_the_global_object_is_touched() {
  let names = "JSON.stringify(Object.getOwnPropertyNames(globalThis).sort())";
  let list = |mut runtime: JsRuntime| {
    let value = runtime.execute_script("names.js", names).unwrap();
    deno_core::scope!(scope, &mut runtime);
    deno_core::v8::Local::new(scope, value).to_rust_string_lossy(scope)
  };
  let bare = list(JsRuntime::new(RuntimeOptions::default()));
  assert_eq!(list(runtime(KvOptions::default())), bare);
}
