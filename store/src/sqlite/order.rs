//! The order of the calls on one handle.
//!
//! A write waits in the writer's queue until it is committed; a read usually takes a snapshot right away. So a
//! read on a handle with writes outstanding goes into the same queue, behind them, and is done in their
//! transaction: it sees what was asked for before it, and nothing that was asked for later.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the calls of one handle that wait in the writer's queue.
#[derive(Default)]
pub(super) struct Order(Arc<AtomicUsize>);

/// One of those calls, until this is dropped.
pub(super) struct Outstanding(Arc<AtomicUsize>);

impl Order {
  /// Whether no call is outstanding: a read may take its snapshot now.
  pub(super) fn is_clear(&self) -> bool {
    self.0.load(Ordering::Acquire) == 0
  }

  /// A place for one more call.
  pub(super) fn enter(&self) -> Outstanding {
    self.0.fetch_add(1, Ordering::AcqRel);
    Outstanding(self.0.clone())
  }
}

impl Drop for Outstanding {
  fn drop(&mut self) {
    self.0.fetch_sub(1, Ordering::AcqRel);
  }
}
