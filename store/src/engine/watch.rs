use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use super::{Held, StoreError};

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
  /// Some of the keys may have changed. A read shows what they hold now.
  Unknown,
  /// What the keys hold now, in the order in which they are watched.
  Values(Vec<Option<Held>>),
}

/// Tells when keys may have changed. A watcher that is slow misses states in between, and never the last one.
pub struct Watcher {
  notifier: Notifier,
  /// Dropped with the watcher: the engine forgets it.
  _registration: Box<dyn Send + Sync>,
}

impl Watcher {
  /// A watcher that hears of what `notifier` is given; `registration` is dropped with it.
  pub fn new(notifier: Notifier, registration: impl Send + Sync + 'static) -> Self {
    Self {
      notifier,
      _registration: Box::new(registration),
    }
  }

  /// Waits until something may have changed since the last call. `None`: the watcher or the database is closed.
  ///
  /// # Errors
  /// The engine can't watch any more. Every later call returns `None`.
  pub async fn changed(&self) -> Result<Option<Change>, StoreError> {
    loop {
      {
        let mut state = self.notifier.0.state();
        if let Some(change) = state.change.take() {
          return change.map(Some);
        }
        if state.is_closed {
          return Ok(None);
        }
      }
      self.notifier.0.raised.notified().await;
    }
  }

  pub(crate) fn notifier(&self) -> &Notifier {
    &self.notifier
  }

  /// Ends the wait for a change, and all waits to come.
  pub fn close(&self) {
    self.notifier.close();
  }
}

impl fmt::Debug for Watcher {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Watcher").finish_non_exhaustive()
  }
}

/// The engine's end of a [`Watcher`]. Clones tell the same one.
#[derive(Clone, Default)]
pub struct Notifier(Arc<Shared>);

#[derive(Default)]
struct Shared {
  state: Mutex<State>,
  /// Keeps one permit while nobody waits.
  raised: Notify,
}

#[derive(Default)]
struct State {
  /// What the watcher has not taken yet: any number of changes are one.
  change: Option<Result<Change, StoreError>>,
  is_closed: bool,
}

impl Shared {
  fn state(&self) -> std::sync::MutexGuard<'_, State> {
    self.state.lock().unwrap_or_else(PoisonError::into_inner)
  }
}

impl Notifier {
  /// Something may have changed.
  pub fn raise(&self) {
    self.tell(Ok(Change::Unknown));
  }

  /// The keys hold these values now.
  pub fn values(&self, values: Vec<Option<Held>>) {
    self.tell(Ok(Change::Values(values)));
  }

  /// Watching has failed, for good.
  pub fn fail(&self, error: StoreError) {
    let mut state = self.0.state();
    if !state.is_closed {
      state.change = Some(Err(error));
      state.is_closed = true;
    }
    drop(state);
    self.0.raised.notify_one();
  }

  /// The database is closed. Changes that the watcher has not taken yet are dropped: there is nothing left to read.
  pub fn close(&self) {
    let mut state = self.0.state();
    state.is_closed = true;
    if let Some(Ok(_)) = state.change {
      state.change = None;
    }
    drop(state);
    self.0.raised.notify_one();
  }

  pub(crate) fn downgrade(&self) -> WeakNotifier {
    WeakNotifier(Arc::downgrade(&self.0))
  }

  pub(crate) fn is_same(&self, other: &Self) -> bool {
    Arc::ptr_eq(&self.0, &other.0)
  }

  fn tell(&self, change: Result<Change, StoreError>) {
    let mut state = self.0.state();
    if !state.is_closed {
      state.change = Some(change);
      drop(state);
      self.0.raised.notify_one();
    }
  }
}

/// A [`Notifier`] that does not keep its watcher's state.
pub(crate) struct WeakNotifier(Weak<Shared>);

impl WeakNotifier {
  /// `None`: the watcher is gone.
  pub(crate) fn upgrade(&self) -> Option<Notifier> {
    self.0.upgrade().map(Notifier)
  }
}

impl fmt::Debug for Notifier {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Notifier").finish_non_exhaustive()
  }
}

#[cfg(test)]
mod tests {
  use super::*;
  use crate::engine::ErrorKind;

  fn changed(watcher: &Watcher) -> Result<Option<Change>, ErrorKind> {
    futures::executor::block_on(watcher.changed()).map_err(|error| error.kind())
  }

  #[test]
  fn changes_are_one_until_taken() {
    let notifier = Notifier::default();
    let watcher = Watcher::new(notifier.clone(), ());
    notifier.raise();
    notifier.values(vec![None]);
    assert_eq!(changed(&watcher), Ok(Some(Change::Values(vec![None]))));
    // The values are older than the change.
    notifier.values(vec![None]);
    notifier.raise();
    assert_eq!(changed(&watcher), Ok(Some(Change::Unknown)));
  }

  #[test]
  fn failure_is_told_once() {
    let notifier = Notifier::default();
    let watcher = Watcher::new(notifier.clone(), ());
    notifier.fail(StoreError::new(ErrorKind::Unavailable, "gone"));
    assert_eq!(changed(&watcher), Err(ErrorKind::Unavailable));
    assert_eq!(changed(&watcher), Ok(None));
  }

  #[test]
  fn closing_drops_what_waits() {
    let notifier = Notifier::default();
    let watcher = Watcher::new(notifier.clone(), ());
    notifier.raise();
    watcher.close();
    notifier.raise();
    assert_eq!(changed(&watcher), Ok(None));
    assert_eq!(changed(&watcher), Ok(None));
  }
}
