use std::sync::Arc;

use kv_conformance::{Database, Harness, ManualClock};
use own_engine::Engine;

struct OwnEngine;

impl Harness for OwnEngine {
  fn open(&self) -> Database {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::new(clock.clone());
    let other = engine.handle();
    Database::new(Arc::new(engine), clock).with_other(Arc::new(other))
  }
}

#[test]
fn engine_does_what_every_engine_must() {
  kv_conformance::run(&OwnEngine);
}
