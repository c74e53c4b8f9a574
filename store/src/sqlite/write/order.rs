//! Program order of the calls on one handle.
//!
//! A write waits for its group commit; a read usually takes a snapshot right away. So a read on a handle with writes
//! outstanding joins the same queue, behind them, and is done in their transaction: it sees the calls before it, and
//! none that come later.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the calls of one handle that wait for a group commit.
#[derive(Default)]
pub(crate) struct Order(Arc<AtomicUsize>);

/// One of those calls, until this is dropped.
pub(crate) struct Outstanding(Arc<AtomicUsize>);

impl Order {
  /// Whether no call is outstanding: a read may take its snapshot now.
  pub(crate) fn is_clear(&self) -> bool {
    self.0.load(Ordering::Acquire) == 0
  }

  /// A place for one more call.
  pub(crate) fn enter(&self) -> Outstanding {
    self.0.fetch_add(1, Ordering::AcqRel);
    Outstanding(self.0.clone())
  }
}

impl Drop for Outstanding {
  fn drop(&mut self) {
    self.0.fetch_sub(1, Ordering::AcqRel);
  }
}
