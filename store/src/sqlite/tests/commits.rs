//! Who commits, and what waits for whom.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::engine::Answer;

/// Polls a future once.
fn poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
  Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
  let deadline = Instant::now() + Duration::from_secs(10);
  while !holds() {
    assert!(Instant::now() < deadline, "{what}");
    thread::sleep(Duration::from_millis(1));
  }
}

#[test]
fn a_write_that_nobody_waits_for_is_committed() {
  let folder = TempDir::new().unwrap();
  let store = open_file(&folder.path().join("kv"), &options()).unwrap();
  drop(store.atomic_write(write(vec![set("dropped", "1")])));
  let kept = store.atomic_write(write(vec![set("kept", "1")]));
  eventually("both are there", || {
    get(&*store, "dropped").is_some() && get(&*store, "kept").is_some()
  });
  // Also once the writer's thread has gone to sleep.
  thread::sleep(Duration::from_millis(300));
  drop(store.atomic_write(write(vec![set("later", "1")])));
  eventually("the later one is there", || get(&*store, "later").is_some());
  assert!(kept.wait_blocking().is_ok());
}

#[test]
fn who_can_not_wait_is_not_held_up_by_another_process() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  commit(&*store, vec![set("a", "1")]).unwrap();
  let other = Connection::open(&path).unwrap();
  other.execute_batch("BEGIN IMMEDIATE").unwrap();
  let mut waiting = Box::pin(store.atomic_write(write(vec![set("a", "2")])).wait());
  let started = Instant::now();
  for _ in 0..10 {
    assert!(poll(&mut waiting).is_pending());
  }
  // The timeout is 300 ms; the thread waits for it.
  assert!(
    started.elapsed() < Duration::from_millis(200),
    "{:?}",
    started.elapsed()
  );
  other.execute_batch("ROLLBACK").unwrap();
  eventually("the write happens once the lock is free", || {
    text(&*store, "a").as_deref() == Some("2")
  });
  drop(waiting);
}

#[test]
fn the_log_starts_over_however_long_writes_go_on() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  let log = folder.path().join("kv-wal");
  let value = "x".repeat(50_000);
  let mut written = 0;
  let mut longest = 0;
  // 250 MB, always with more waiting.
  for round in 0..250 {
    let answers: Vec<_> = (0..20)
      .map(|i| store.atomic_write(write(vec![set(&format!("{round} {i}"), &value)])))
      .collect();
    for answer in answers {
      answer.wait_blocking().unwrap();
      written += value.len() as u64;
    }
    longest = longest.max(std::fs::metadata(&log).unwrap().len());
  }
  assert!(
    longest < written / 4,
    "{longest} bytes of log after {written} bytes of values"
  );
}

#[test]
fn mixed_waiters_get_one_answer_each() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let versionstamps = Mutex::new(Vec::new());
  thread::scope(|scope| {
    for task in 0..4 {
      let (path, versionstamps) = (&path, &versionstamps);
      scope.spawn(move || {
        let store = open_file(path, &options()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
          .build()
          .unwrap();
        for i in 0..100 {
          // More at once than whoever waits would commit, now and then.
          let count = if i % 10 == 0 { 40 } else { 1 };
          let answers: Vec<Answer<_>> = (0..count)
            .map(|j| store.atomic_write(write(vec![set(&format!("{task} {i} {j}"), "x")])))
            .collect();
          for answer in answers {
            let outcome = if task % 2 == 0 {
              answer.wait_blocking()
            } else {
              runtime.block_on(answer.wait())
            };
            match outcome.unwrap() {
              CommitOutcome::Committed(stamp) => versionstamps.lock().unwrap().push(stamp),
              CommitOutcome::CheckFailed(_) => panic!("there is no check"),
            }
          }
        }
      });
    }
  });
  let mut versionstamps = versionstamps.into_inner().unwrap();
  let writes = versionstamps.len();
  assert_eq!(writes, 4 * (90 + 10 * 40));
  versionstamps.sort_unstable();
  versionstamps.dedup();
  assert_eq!(versionstamps.len(), writes);
}

#[test]
fn log_is_cut_after_long_read() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  commit(&*store, vec![set("a", "0")]).unwrap();
  let reader = Connection::open(&path).unwrap();
  reader.execute_batch("BEGIN").unwrap();
  let count = "SELECT count(*) FROM kv";
  let keys: i64 = reader.query_row(count, [], |row| row.get(0)).unwrap();
  assert_eq!(keys, 1);
  for n in 0..80 {
    // Another one each time: SQLite writes no page that stays as it is.
    let value = n.to_string().repeat(30_000);
    let mutations = (0..10).map(|i| set(&format!("k{i}"), &value)).collect();
    commit(&*store, mutations).unwrap();
  }
  let log = || {
    std::fs::metadata(folder.path().join("kv-wal"))
      .unwrap()
      .len()
  };
  assert!(log() > 34 << 20, "{}", log());
  drop(reader);
  let patience = Instant::now() + Duration::from_secs(20);
  while log() > 33 << 20 {
    assert!(Instant::now() < patience, "{}", log());
    commit(&*store, vec![set("a", "1")]).unwrap();
    thread::sleep(Duration::from_millis(5));
  }
}
