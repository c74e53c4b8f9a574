use std::sync::{Arc, Mutex, Weak};

use crate::engine::{Listener, Watcher, WeakNotifier};
use crate::sqlite::mutex::lock;

/// The watchers and listeners of a handle, which end when it is closed. They may be gone before.
#[derive(Default)]
pub(super) struct Dependents(Mutex<Lists>);

#[derive(Default)]
struct Lists {
  watchers: Vec<WeakNotifier>,
  listeners: Vec<Weak<dyn Listener>>,
}

impl Dependents {
  pub(super) fn add_watcher(&self, watcher: &Watcher) {
    let watchers = &mut lock(&self.0).watchers;
    prune(watchers, |watcher| watcher.upgrade().is_some());
    watchers.push(watcher.notifier().downgrade());
  }

  pub(super) fn add_listener(&self, listener: &Arc<dyn Listener>) {
    let listeners = &mut lock(&self.0).listeners;
    prune(listeners, |listener| listener.strong_count() > 0);
    listeners.push(Arc::downgrade(listener));
  }

  pub(super) fn close(&self) {
    // Taken out first: dropping the last reference to a listener takes other locks.
    let Lists {
      watchers,
      listeners,
    } = std::mem::take(&mut *lock(&self.0));
    for notifier in watchers.iter().filter_map(WeakNotifier::upgrade) {
      notifier.close();
    }
    for listener in listeners.iter().filter_map(Weak::upgrade) {
      listener.close();
    }
  }
}

/// Forgets what is gone where the list would grow, which keeps the work for each constant.
fn prune<T>(list: &mut Vec<T>, is_there: impl Fn(&T) -> bool) {
  if list.len() == list.capacity() {
    list.retain(is_there);
    let left = list.len();
    list.reserve(left + 4);
  }
}
