//! A thousand runtimes that are dropped without `close()` leave no thread, no file and no memory. A
//! process of its own, so that nobody else's are counted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod support;

use std::time::{Duration, Instant};

use kv_ext::KvOptions;
use support::{embed, with_kv};

/// In kilobytes, about: the code of js/ and what it has made.
const HEAP_OF_OUR_SCRIPTS: usize = 100;

#[derive(Debug)]
struct Left {
  threads: usize,
  files: usize,
  /// Resident, in kilobytes.
  memory: usize,
}

fn left() -> Left {
  let status = std::fs::read_to_string("/proc/self/status").unwrap();
  let number = |name: &str| {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<usize>().unwrap()
  };
  Left {
    threads: number("Threads:"),
    files: std::fs::read_dir("/proc/self/fd").unwrap().count(),
    memory: number("VmRSS:"),
  }
}

#[test]
fn a_thousand_runtimes_leave_nothing_behind() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let one = || {
    with_kv(KvOptions::default().default_path(&path)).run(
      "globalThis.kv = await Deno.openKv();
       globalThis.memory = await Deno.openKv(':memory:');
       kv.listenQueue(() => new Promise(() => {}));
       await kv.set(['a'], 1, { expireIn: 60_000 });
       await memory.set(['a'], 'x'.repeat(10_000));
       kv.list({ prefix: [] }).next();
       kv.set(['b'], 1);",
    );
  };
  let run = |rounds: usize, one: &(dyn Fn() + Sync)| {
    for _ in 0..rounds {
      if cfg!(feature = "quickjs") {
        // v8x, which is QuickJS under deno_core, can make no more than some 270 runtimes in a thread, with
        // this extension or with none.
        std::thread::scope(|scope| scope.spawn(one).join().unwrap());
      } else {
        one();
      }
    }
    left()
  };
  // What the process keeps once it has it.
  let before = run(200, &one);
  let mut after = run(800, &one);
  // A thread that has nothing left to do is counted until the system has ended it.
  let deadline = Instant::now() + Duration::from_secs(10);
  while after.threads > before.threads && Instant::now() < deadline {
    std::thread::sleep(Duration::from_millis(10));
    after = left();
  }
  println!("{before:?} {after:?}");
  assert!(after.threads <= before.threads, "{before:?} {after:?}");
  assert!(after.files <= before.files, "{before:?} {after:?}");
  let mut kept = after.memory.saturating_sub(before.memory);
  if cfg!(feature = "quickjs") {
    // v8x keeps the heap of every runtime, nearly a megabyte: what a runtime with no extension leaves is not
    // ours. (What our JavaScript takes in such a heap is.)
    let bare = || drop(embed(Vec::new()));
    let before = run(1, &bare);
    let after = run(100, &bare);
    println!("without the extension: {before:?} {after:?}");
    kept = kept.saturating_sub((after.memory - before.memory) * 8 + 800 * HEAP_OF_OUR_SCRIPTS);
  }
  // Fifty kilobytes each would be a leak; engines and allocators keep a little for themselves.
  assert!(kept < 40_000, "{before:?} {after:?}");
  assert!(!folder.path().join("kv-wal").exists());
}
