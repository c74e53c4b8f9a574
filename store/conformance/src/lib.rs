//! What every engine of [`kv_store`] must do, as tests.
//!
//! An engine implements [`Backend`]; its tests implement [`Harness`] and call [`run`]:
//!
//! ```
//! use std::sync::Arc;
//!
//! use kv_conformance::{Database, Harness, ManualClock};
//! use kv_store::sqlite::{self, SqliteOptions};
//!
//! struct InMemory;
//!
//! impl Harness for InMemory {
//!   fn open(&self) -> Database {
//!     let clock = Arc::new(ManualClock::default());
//!     let mut options = SqliteOptions::default();
//!     options.clock = clock.clone();
//!     Database::new(sqlite::open_memory(&options).unwrap(), clock)
//!   }
//! }
//!
//! # if false {
//! kv_conformance::run(&InMemory);
//! # }
//! ```
//!
//! Behaviours that an engine's capabilities say it does not have are left out.
//!
//! Each behaviour gets a database of its own. [`run`] prints how each has ended, and panics if one has failed.
//! `KV_CONFORMANCE=queue` in the environment runs the behaviours whose names contain `queue`; `KV_CONFORMANCE_SEED=7`
//! repeats the concurrent histories of a seed.

#![deny(missing_docs, missing_debug_implementations)]
#![allow(
  clippy::unwrap_used,
  clippy::expect_used,
  clippy::panic,
  reason = "a behaviour that fails panics, as a test does"
)]

mod close;
mod expiry;
mod history;
mod kit;
mod numbers;
mod order;
mod queue;
mod reads;
mod served_queue;
mod watch;
mod write_ids;
mod writes;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kv_store::engine::{Backend, Clock};

/// Opens databases of the engine that is tested.
pub trait Harness {
  /// An empty database.
  fn open(&self) -> Database;
}

/// An empty database of the engine that is tested.
pub struct Database {
  /// A handle.
  pub a: Arc<dyn Backend>,
  /// Another handle on the same database, or the same one where there can't be two.
  pub b: Arc<dyn Backend>,
  time: Arc<dyn Time>,
  /// Called when time has passed.
  wake: Option<Box<dyn Fn()>>,
  /// Dropped after the handles.
  _keep: Box<dyn Any>,
}

impl Database {
  /// A database with one handle, by a clock that is advanced.
  pub fn new(handle: Arc<dyn Backend>, time: Arc<dyn Time>) -> Self {
    Self {
      a: handle.clone(),
      b: handle,
      time,
      wake: None,
      _keep: Box::new(()),
    }
  }

  /// The same with a second handle.
  #[must_use]
  pub fn with_other(mut self, handle: Arc<dyn Backend>) -> Self {
    self.b = handle;
    self
  }

  /// The same with something that is dropped after the handles: a temporary folder, a server.
  #[must_use]
  pub fn keeping(mut self, keep: impl Any) -> Self {
    self._keep = Box::new(keep);
    self
  }

  /// The same with something to do when time has passed: an engine behind another one may sleep.
  #[must_use]
  pub fn waking(mut self, wake: impl Fn() + 'static) -> Self {
    self.wake = Some(Box::new(wake));
    self
  }

  /// Whether the handles are two.
  fn has_two_handles(&self) -> bool {
    !Arc::ptr_eq(&self.a, &self.b)
  }

  /// Whether the engine says that it can do what a behaviour is about.
  fn has(&self, behaviour: &str) -> bool {
    let capabilities = self.a.capabilities();
    match behaviour.split_once("::") {
      Some(("queue", _)) => capabilities.queue,
      Some(("served_queue", _)) => capabilities.served_queue,
      Some(("watch", _)) => capabilities.watch,
      Some(("write_ids", _)) => capabilities.write_ids,
      _ => true,
    }
  }

  fn now_ms(&self) -> u64 {
    self.time.now_ms()
  }

  /// Whether minutes can pass.
  fn has_manual_time(&self) -> bool {
    self.time.is_manual()
  }

  fn advance(&self, ms: u64) {
    self.time.advance(ms);
    // An engine that sleeps until something is due may measure its sleep by another clock: this wakes it.
    drop(self.a.watch(Vec::new()));
    if let Some(wake) = &self.wake {
      wake();
    }
  }
}

impl fmt::Debug for Database {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Database").finish_non_exhaustive()
  }
}

/// The time that the engine goes by.
pub trait Time: Send + Sync {
  /// Milliseconds since 1970-01-01 UTC.
  fn now_ms(&self) -> u64;

  /// Lets so many milliseconds pass.
  fn advance(&self, ms: u64);

  /// Whether advancing takes no time. If it does, behaviours after minutes are left out.
  fn is_manual(&self) -> bool {
    true
  }
}

/// A clock that stands still until it is advanced, for engines that take one.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl Default for ManualClock {
  fn default() -> Self {
    Self(AtomicU64::new(1_700_000_000_000))
  }
}

impl ManualClock {
  /// One that stands at the machine's time.
  pub fn now() -> Self {
    Self(AtomicU64::new(RealTime.now_ms()))
  }
}

impl Clock for ManualClock {
  fn now_ms(&self) -> u64 {
    self.0.load(Ordering::SeqCst)
  }
}

impl Time for ManualClock {
  fn now_ms(&self) -> u64 {
    Clock::now_ms(self)
  }

  fn advance(&self, ms: u64) {
    self.0.fetch_add(ms, Ordering::SeqCst);
  }
}

/// The machine's clock, for engines that have their own: advancing it sleeps.
#[derive(Debug, Default)]
pub struct RealTime;

impl Time for RealTime {
  fn now_ms(&self) -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    elapsed.as_millis().try_into().unwrap()
  }

  fn advance(&self, ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
  }

  fn is_manual(&self) -> bool {
    false
  }
}

/// Something that every engine must do.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
  /// What it is, in a few words.
  pub name: &'static str,
  run: fn(&Database),
}

/// The behaviours of a module: names of functions that take a database.
macro_rules! behaviours {
  ($($name:ident),* $(,)?) => {
    pub(crate) const BEHAVIOURS: &[crate::Behaviour] = &[$(
      crate::Behaviour { name: concat!(module_path!(), "::", stringify!($name)), run: $name },
    )*];
  };
}
use behaviours;

/// All behaviours.
pub fn all() -> impl Iterator<Item = Behaviour> {
  [
    reads::BEHAVIOURS,
    writes::BEHAVIOURS,
    numbers::BEHAVIOURS,
    expiry::BEHAVIOURS,
    order::BEHAVIOURS,
    watch::BEHAVIOURS,
    queue::BEHAVIOURS,
    served_queue::BEHAVIOURS,
    write_ids::BEHAVIOURS,
    close::BEHAVIOURS,
    history::BEHAVIOURS,
  ]
  .into_iter()
  .flatten()
  .copied()
}

/// Runs all behaviours, each on a database of its own.
///
/// # Panics
/// One or more have failed: the message names them.
pub fn run(harness: &dyn Harness) {
  run_some(
    harness,
    &std::env::var("KV_CONFORMANCE").unwrap_or_default(),
  );
}

/// Runs the behaviours whose names contain `wanted`: `history`, for an engine whose connections are made to break.
///
/// # Panics
/// One or more have failed, or there is none of such a name.
pub fn run_some(harness: &dyn Harness, wanted: &str) {
  let mut failed = Vec::new();
  let mut count = 0;
  for behaviour in all().filter(|behaviour| behaviour.name.contains(wanted)) {
    let name = behaviour.name.trim_start_matches("kv_conformance::");
    let database = harness.open();
    if !database.has(name) {
      println!("{name} ... not here");
      continue;
    }
    count += 1;
    let result = catch_unwind(AssertUnwindSafe(|| (behaviour.run)(&database)));
    println!(
      "{name} ... {}",
      if result.is_ok() { "ok" } else { "FAILED" }
    );
    if result.is_err() {
      failed.push(name);
    }
  }
  assert!(count > 0, "no behaviour has {wanted:?} in its name");
  assert!(
    failed.is_empty(),
    "{} of {count} behaviours failed: {}",
    failed.len(),
    failed.join(", ")
  );
}
