use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::engine::{Notifier, Watcher};
use crate::sqlite::mutex::lock;

/// The watchers of this process, by their keys.
#[derive(Default)]
pub(super) struct Watchers {
  by_key: Mutex<HashMap<Vec<u8>, Vec<Notifier>>>,
  /// How many there are. A commit looks here first: usually there are none.
  count: AtomicUsize,
}

impl Watchers {
  pub(super) fn is_empty(&self) -> bool {
    self.len() == 0
  }

  pub(super) fn len(&self) -> usize {
    self.count.load(Ordering::Acquire)
  }

  pub(super) fn watch(self: &Arc<Self>, keys: Vec<Vec<u8>>) -> Watcher {
    let notifier = Notifier::default();
    self.count.fetch_add(1, Ordering::AcqRel);
    let mut by_key = lock(&self.by_key);
    for key in &keys {
      by_key
        .entry(key.clone())
        .or_default()
        .push(notifier.clone());
    }
    drop(by_key);
    let registration = Registration {
      watchers: Arc::downgrade(self),
      notifier: notifier.clone(),
      keys,
    };
    Watcher::new(notifier, registration)
  }

  /// Wakes the watchers of these keys.
  pub(super) fn raise<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) {
    if self.is_empty() {
      return;
    }
    let by_key = lock(&self.by_key);
    for key in keys {
      for notifier in by_key.get(key).into_iter().flatten() {
        notifier.raise();
      }
    }
  }

  /// Wakes all watchers: anything may have changed.
  pub(super) fn raise_all(&self) {
    if !self.is_empty() {
      for notifier in lock(&self.by_key).values().flatten() {
        notifier.raise();
      }
    }
  }

  /// Ends all watchers.
  pub(super) fn close(&self) {
    for notifier in lock(&self.by_key).values().flatten() {
      notifier.close();
    }
  }
}

/// A watcher's place in the table, freed when it is dropped.
struct Registration {
  watchers: Weak<Watchers>,
  notifier: Notifier,
  keys: Vec<Vec<u8>>,
}

impl Drop for Registration {
  fn drop(&mut self) {
    let Some(watchers) = self.watchers.upgrade() else {
      return;
    };
    let mut by_key = lock(&watchers.by_key);
    for key in &self.keys {
      if let Some(notifiers) = by_key.get_mut(key) {
        notifiers.retain(|notifier| !notifier.is_same(&self.notifier));
        if notifiers.is_empty() {
          by_key.remove(key);
        }
      }
    }
    watchers.count.fetch_sub(1, Ordering::AcqRel);
  }
}
