//! A runtime of somebody else's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::time::Duration;

use deno_core::{JsRuntime, PollEventLoopOptions, RuntimeOptions};
use kv_ext::KvOptions;

/// A runtime, and the event loop it lives in: V8 schedules its own work on it from the start.
pub struct Embedder {
  pub runtime: JsRuntime,
  pub tokio: tokio::runtime::Runtime,
}

pub fn embed(extensions: Vec<deno_core::Extension>) -> Embedder {
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  let runtime = {
    let _entered = tokio.enter();
    JsRuntime::new(RuntimeOptions {
      extensions,
      ..Default::default()
    })
  };
  Embedder { runtime, tokio }
}

pub fn with_kv(options: KvOptions) -> Embedder {
  let mut embedder = embed(vec![kv_ext::init(options)]);
  embedder
    .runtime
    .execute_script("assert.js", ASSERT)
    .unwrap();
  embedder
}

const LONGEST_TEST: Duration = Duration::from_secs(60);

impl Embedder {
  /// Runs an async function's body; what it throws fails the test, and so does a wait without an end.
  pub fn run(&mut self, body: &str) {
    let script = format!("(async () => {{ {body} }})()");
    self.tokio.block_on(async {
      let promise = self.runtime.execute_script("test.js", script).unwrap();
      let resolved = Box::pin(self.runtime.resolve(promise));
      let options = PollEventLoopOptions::default();
      let ended = self.runtime.with_event_loop_promise(resolved, options);
      let ended = tokio::time::timeout(LONGEST_TEST, ended).await;
      ended.unwrap().unwrap();
    });
  }
}

const ASSERT: &str = "function assert(ok, what) { if (!ok) throw new Error(what); }";
