use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::engine::{Signal, Watcher};
use crate::sqlite::lock::lock;

/// Who watches which keys.
#[derive(Default)]
pub(super) struct Watchers {
  by_key: Mutex<HashMap<Vec<u8>, Vec<Arc<Signal>>>>,
  /// Watchers there are. A commit looks here first: usually there are none.
  count: AtomicUsize,
}

impl Watchers {
  pub(super) fn is_empty(&self) -> bool {
    self.count.load(Ordering::Acquire) == 0
  }

  pub(super) fn watch(self: &Arc<Self>, keys: Vec<Vec<u8>>) -> Watcher {
    let signal = Arc::new(Signal::default());
    self.count.fetch_add(1, Ordering::AcqRel);
    let mut by_key = lock(&self.by_key);
    for key in &keys {
      by_key.entry(key.clone()).or_default().push(signal.clone());
    }
    drop(by_key);
    let registration = Registration {
      watchers: Arc::downgrade(self),
      signal: signal.clone(),
      keys,
    };
    Watcher::new(signal, Box::new(registration))
  }

  /// Keys have been changed.
  pub(super) fn raise<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) {
    if self.is_empty() {
      return;
    }
    let by_key = lock(&self.by_key);
    for key in keys {
      for signal in by_key.get(key).into_iter().flatten() {
        signal.raise();
      }
    }
  }

  /// Anything may have been changed.
  pub(super) fn raise_all(&self) {
    if !self.is_empty() {
      for signal in lock(&self.by_key).values().flatten() {
        signal.raise();
      }
    }
  }

  /// Ends all watchers.
  pub(super) fn close(&self) {
    for signal in lock(&self.by_key).values().flatten() {
      signal.close();
    }
  }
}

/// A watcher's place, given back when it is dropped.
struct Registration {
  watchers: Weak<Watchers>,
  signal: Arc<Signal>,
  keys: Vec<Vec<u8>>,
}

impl Drop for Registration {
  fn drop(&mut self) {
    let Some(watchers) = self.watchers.upgrade() else {
      return;
    };
    let mut by_key = lock(&watchers.by_key);
    for key in &self.keys {
      if let Some(signals) = by_key.get_mut(key) {
        signals.retain(|signal| !Arc::ptr_eq(signal, &self.signal));
        if signals.is_empty() {
          by_key.remove(key);
        }
      }
    }
    watchers.count.fetch_sub(1, Ordering::AcqRel);
  }
}
