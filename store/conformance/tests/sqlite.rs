//! SQLite does what every engine must do: on a file, on a file without the WAL index, and in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use kv_conformance::{Database, Harness, ManualClock};
use kv_store::sqlite::{self, SqliteOptions};

fn options(clock: &Arc<ManualClock>) -> SqliteOptions {
  let mut options = SqliteOptions::default();
  options.clock = clock.clone();
  options
}

struct InMemory;

impl Harness for InMemory {
  fn open(&self) -> Database {
    let clock = Arc::new(ManualClock::default());
    Database::new(sqlite::open_memory(&options(&clock)).unwrap(), clock)
  }
}

#[test]
fn in_memory() {
  kv_conformance::run(&InMemory);
}

struct OnFile {
  wal_index: bool,
}

impl Harness for OnFile {
  fn open(&self) -> Database {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let clock = Arc::new(ManualClock::default());
    let mut options = options(&clock);
    options.wal_index = self.wal_index;
    let open = || sqlite::open_file(&path, &options).unwrap();
    let (a, b) = (open(), open());
    Database::new(a, clock).with_other(b).keeping(folder)
  }
}

#[test]
fn on_a_file() {
  kv_conformance::run(&OnFile { wal_index: true });
}

#[test]
fn on_a_file_without_the_wal_index() {
  kv_conformance::run(&OnFile { wal_index: false });
}
