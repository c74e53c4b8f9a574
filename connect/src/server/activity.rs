use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
  /// Requests whose answers were not sent to their end.
  requests: AtomicUsize,
  has_asked: AtomicBool,
  last: Mutex<Instant>,
}

/// A request of a connection, until its answer was sent.
pub(super) struct Active(Arc<Activity>);

impl Activity {
  pub(super) fn new() -> Arc<Self> {
    Arc::new(Self {
      requests: AtomicUsize::new(0),
      has_asked: AtomicBool::new(false),
      last: Mutex::new(Instant::now()),
    })
  }

  pub(super) fn begin(self: &Arc<Self>) -> Active {
    self.requests.fetch_add(1, Ordering::AcqRel);
    self.has_asked.store(true, Ordering::Release);
    Active(self.clone())
  }

  pub(super) fn is_idle(&self) -> bool {
    self.requests.load(Ordering::Acquire) == 0
  }

  /// Whether there was a request.
  pub(super) fn has_asked(&self) -> bool {
    self.has_asked.load(Ordering::Acquire)
  }

  /// How long nothing was asked, and nothing answered.
  pub(super) fn idle_for(&self) -> Duration {
    match self.is_idle() {
      true => self.last().elapsed(),
      false => Duration::ZERO,
    }
  }

  fn last(&self) -> std::sync::MutexGuard<'_, Instant> {
    self.last.lock().unwrap_or_else(PoisonError::into_inner)
  }
}

impl Drop for Active {
  fn drop(&mut self) {
    *self.0.last() = Instant::now();
    self.0.requests.fetch_sub(1, Ordering::AcqRel);
  }
}
