use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells when keys may have changed. What they are now, a read tells: a watcher that is slow misses
/// states in between, and never the last one.
pub struct Watcher {
  signal: Arc<Signal>,
  /// Dropped with the watcher: the store forgets it.
  _registration: Box<dyn Send + Sync>,
}

impl Watcher {
  /// A watcher that `signal` is raised for; `registration` is dropped with it.
  pub fn new(signal: Arc<Signal>, registration: Box<dyn Send + Sync>) -> Self {
    Self {
      signal,
      _registration: registration,
    }
  }

  /// Waits until something may have changed since the last call; false once it was closed.
  pub async fn changed(&self) -> bool {
    if !self.signal.is_closed() {
      self.signal.raised.notified().await;
    }
    !self.signal.is_closed()
  }

  /// Ends the wait of whoever waits for a change, and all waits to come.
  pub fn close(&self) {
    self.signal.close();
  }
}

/// What wakes a [`Watcher`].
#[derive(Default)]
pub struct Signal {
  /// Keeps one permit while nobody waits: any number of changes are one.
  raised: Notify,
  closed: AtomicBool,
}

impl Signal {
  /// Something may have changed.
  pub fn raise(&self) {
    self.raised.notify_one();
  }

  /// Nothing will any more: the database is closed.
  pub fn close(&self) {
    self.closed.store(true, Ordering::Release);
    self.raise();
  }

  fn is_closed(&self) -> bool {
    self.closed.load(Ordering::Acquire)
  }
}
