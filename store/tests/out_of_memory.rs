//! SQLite runs out of memory at every single allocation of an open, commits, reads and a close: as SQLite tests
//! itself, the n-th fails, for n from 1 until there are fewer. A process of its own, since the allocator is
//! SQLite's for the whole process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "out_of_memory/allocator.rs"]
mod allocator;

use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt;
use kv_store::{KvError, ListOptions, Selector, Store, key};
use rusqlite::Connection;

/// Another seventh of the allocations each time; with 1 it is all of them.
const STEP: usize = 7;

/// Commits some things; returns the numbers of those that were acknowledged.
async fn work(path: &Path) -> Result<Vec<u32>, (Vec<u32>, KvError)> {
  let mut done = Vec::new();
  let mut last = None;
  for round in 0..2 {
    let store = match Store::open(path) {
      Ok(store) => store,
      Err(error) => return Err((done, error)),
    };
    for n in round * 3..round * 3 + 3 {
      let operation = store
        .atomic()
        .set(key!["c", n, 0], "x".repeat(9_000))
        .set(key!["c", n, 1], n)
        .sum(key!["count"], 1);
      match operation.commit().await {
        Ok(_) => done.push(n),
        Err(error) => last = Some(error),
      }
      match store.get(key!["c", n, 1]).await {
        Ok(entry) => assert_eq!(entry.is_some(), done.contains(&n), "{n} of {done:?}"),
        Err(error) => last = Some(error),
      }
    }
    match count(&store).await {
      // A commit that was rejected is not there for those who read.
      Ok(found) => assert_eq!(found, 2 * done.len()),
      Err(error) => last = Some(error),
    }
  }
  match last {
    Some(error) => Err((done, error)),
    None => Ok(done),
  }
}

async fn count(store: &Store) -> Result<usize, KvError> {
  let entries = store.list(Selector::prefix(&key!["c"])?, ListOptions::default());
  Ok(entries.try_collect::<Vec<_>>().await?.len())
}

/// What is in the file is what was acknowledged, whole.
async fn check(path: &Path, done: &[u32]) {
  let store = Store::open(path).unwrap();
  assert_eq!(count(&store).await.unwrap(), 2 * done.len());
  for n in done {
    assert!(store.get(key!["c", *n, 1]).await.unwrap().is_some(), "{n}");
  }
  let total = store.get(key!["count"]).await.unwrap();
  let total: u64 = total.map_or(0, |entry| entry.value.deserialize().unwrap());
  assert_eq!(total, done.len() as u64);
  drop(store);
  let file = Connection::open(path).unwrap();
  let found: String = file
    .query_row("PRAGMA integrity_check", [], |row| row.get(0))
    .unwrap();
  assert_eq!(found, "ok");
}

#[test]
fn running_out_of_memory_anywhere_loses_nothing() {
  allocator::install();
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  let first = std::process::id() % STEP as u32;
  for for_ever in [false, true] {
    let mut failed = 0;
    for at in (u64::from(first) + 1..).step_by(STEP) {
      let folder = tempfile::TempDir::new().unwrap();
      let path = folder.path().join("kv.sqlite3");
      allocator::fail_at(at, for_ever);
      let work = tokio.block_on(async {
        let work = tokio::time::timeout(Duration::from_secs(30), work(&path));
        work.await.unwrap()
      });
      let has_failed = allocator::fail_no_more();
      let (done, error) = match work {
        Ok(done) => (done, None),
        Err((done, error)) => (done, Some(error)),
      };
      tokio.block_on(check(&path, &done));
      if !has_failed {
        assert_eq!(done.len(), 6, "{error:?}");
        break;
      }
      failed += 1;
    }
    assert!(failed > 5, "{failed}");
  }
}
