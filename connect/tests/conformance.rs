//! The client against the server does what every engine must do.

#![allow(
  clippy::expect_used,
  clippy::panic,
  clippy::unwrap_used,
  reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;

use kv_conformance::{Database, Harness, ManualClock};
use kv_store::sqlite::{self, SqliteOptions};

use support::TestServer;

struct OverTheNetwork;

impl Harness for OverTheNetwork {
  fn open(&self) -> Database {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    // The database's clock, by which values expire; delays are measured by the server's.
    let clock = Arc::new(ManualClock::now());
    let mut options = SqliteOptions::default();
    options.clock = clock.clone();
    let backend = sqlite::open_file(&path, &options).unwrap();
    let server = TestServer::of(backend.clone());
    let (a, b) = (server.connect(), server.connect());
    // Wakes the server's store when the time is advanced.
    let wake = move || drop(backend.watch(Vec::new()));
    Database::new(a, clock)
      .with_other(b)
      .waking(wake)
      .keeping((server, folder))
  }
}

#[test]
fn client_and_server() {
  kv_conformance::run(&OverTheNetwork);
}
