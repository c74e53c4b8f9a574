use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::{Backend, Change, EntryRef, Held, ReadOptions, ReadRange, StoreError, Watcher};
use crate::versionstamp::Versionstamp;

/// The states of watched keys, one after another: the first at once, and then one whenever a key has changed. A caller
/// that is slow misses states in between, and never the last one.
pub struct WatchStates {
  /// `None` once it is closed.
  backend: Mutex<Option<Arc<dyn Backend>>>,
  watcher: Watcher,
  points: Vec<ReadRange>,
  /// Whether also a state is told that is the same as the last one.
  tells_all: bool,
  /// At first, and after a change that says no more than that it was one.
  must_read: AtomicBool,
  /// The versionstamps of the last state that was told.
  last: Mutex<Option<Vec<Option<Versionstamp>>>>,
}

impl WatchStates {
  /// Watches these keys, encoded. With `tells_all`, a change that leaves the keys as they were is told too: two
  /// changes in a row, of which the second undoes the first.
  ///
  /// # Errors
  /// The engine can't watch.
  pub fn new(
    backend: Arc<dyn Backend>,
    keys: Vec<Vec<u8>>,
    tells_all: bool,
  ) -> Result<Self, StoreError> {
    let points = keys.iter().cloned().map(ReadRange::point).collect();
    let must_read = !backend.capabilities().watch_begins_with_values;
    let watcher = backend.watch(keys)?;
    Ok(Self {
      backend: Mutex::new(Some(backend)),
      watcher,
      points,
      tells_all,
      must_read: AtomicBool::new(must_read),
      last: Mutex::default(),
    })
  }

  /// What the keys hold, once that is new. `None`: it is closed, or there are no keys, which never change. One call is
  /// at work at a time. If the future is dropped, the next call goes on where it was: no change is lost.
  ///
  /// # Errors
  /// The engine can't watch any more, or can't read.
  pub async fn next(&self) -> Result<Option<Vec<Option<Held>>>, StoreError> {
    while !self.points.is_empty() {
      if !self.must_read.load(Ordering::Acquire) {
        match self.watcher.changed().await? {
          None => return Ok(None),
          Some(Change::Unknown) => self.must_read.store(true, Ordering::Release),
          Some(Change::Values(values)) => match self.compare(&values) {
            Age::Older => continue,
            Age::Unknown => self.must_read.store(true, Ordering::Release),
            Age::Newer => match self.tell(values) {
              Some(state) => return Ok(Some(state)),
              None => continue,
            },
          },
        }
      }
      let Some(state) = self.read().await? else {
        return Ok(None);
      };
      self.must_read.store(false, Ordering::Release);
      if let Some(state) = self.tell(state) {
        return Ok(Some(state));
      }
    }
    Ok(None)
  }

  /// Whether values that the engine has sent are from before the last state that was told: that one may be of a read,
  /// which was faster.
  fn compare(&self, values: &[Option<Held>]) -> Age {
    let last = locked(&self.last);
    let mut age = Age::Newer;
    for (last, new) in last.iter().flatten().zip(values) {
      match (last, new) {
        (Some(last), Some(new)) if new.versionstamp < *last => return Age::Older,
        // Deleted since, or not set yet.
        (Some(_), None) => age = Age::Unknown,
        _ => {}
      }
    }
    age
  }

  /// The state, unless it is the one that was told last.
  fn tell(&self, state: Vec<Option<Held>>) -> Option<Vec<Option<Held>>> {
    let stamps: Vec<_> = state
      .iter()
      .map(|held| held.as_ref().map(|held| held.versionstamp))
      .collect();
    let last = locked(&self.last).replace(stamps.clone());
    (self.tells_all || last.as_ref() != Some(&stamps)).then_some(state)
  }

  /// `None`: it is closed.
  async fn read(&self) -> Result<Option<Vec<Option<Held>>>, StoreError> {
    let answer = match &*locked(&self.backend) {
      Some(backend) => backend.snapshot_read(self.points.clone(), ReadOptions::default()),
      None => return Ok(None),
    };
    match answer.wait().await {
      Ok(ranges) => {
        let held = ranges
          .iter()
          .map(|range| range.first().map(EntryRef::to_held));
        Ok(Some(held.collect()))
      }
      Err(error) if error.is_closed() => Ok(None),
      Err(error) => Err(error),
    }
  }

  /// Ends the wait of [`next`](Self::next), and gives the engine up.
  pub fn close(&self) {
    self.watcher.close();
    drop(locked(&self.backend).take());
  }
}

/// Of values, beside the last state.
enum Age {
  Older,
  Newer,
  Unknown,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
  mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for WatchStates {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("WatchStates")
      .field("keys", &self.points.len())
      .finish_non_exhaustive()
  }
}

#[cfg(test)]
mod tests {
  use super::*;
  use crate::Store;
  use crate::engine::{Answer, AtomicWrite, CommitOutcome, Entries, Listener, NoQueue, Notifier};
  use crate::value::Value;

  /// Reads are those of a database in memory; watching is by hand.
  struct ByHand {
    store: Store,
    notifier: Notifier,
  }

  impl Backend for ByHand {
    fn snapshot_read(&self, ranges: Vec<ReadRange>, options: ReadOptions) -> Answer<Vec<Entries>> {
      self.store.backend().snapshot_read(ranges, options)
    }
    fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
      self.store.backend().atomic_write(write)
    }
    fn watch(&self, _: Vec<Vec<u8>>) -> Result<Watcher, StoreError> {
      Ok(Watcher::new(self.notifier.clone(), ()))
    }
    fn listen(&self) -> Result<Arc<dyn Listener>, StoreError> {
      Ok(Arc::new(NoQueue(StoreError::closed())))
    }
    fn close(&self) -> Answer<()> {
      Answer::ready(Ok(()))
    }
  }

  fn held(version: u64) -> Option<Held> {
    Some(Held {
      value: Value::U64(version),
      versionstamp: Versionstamp::from_version(version),
    })
  }

  #[test]
  fn values_never_go_back() {
    let notifier = Notifier::default();
    let backend = ByHand {
      store: Store::in_memory().unwrap(),
      notifier: notifier.clone(),
    };
    let states = WatchStates::new(Arc::new(backend), vec![b"a".to_vec()], false).unwrap();
    let next = || futures::executor::block_on(states.next()).unwrap();
    assert_eq!(next(), Some(vec![None]));
    notifier.values(vec![held(7)]);
    assert_eq!(next(), Some(vec![held(7)]));
    // From before, and the same.
    notifier.values(vec![held(6)]);
    assert!(next_within(&states).is_none());
    notifier.values(vec![held(7)]);
    assert!(next_within(&states).is_none());
    // Nothing there: a read decides, and the database in memory is empty.
    notifier.values(vec![None]);
    assert_eq!(next(), Some(vec![None]));
    notifier.fail(StoreError::closed());
    assert!(futures::executor::block_on(states.next()).is_err());
    assert_eq!(next(), None);
  }

  /// What is there without waiting. The future is dropped, and no change is lost by that.
  fn next_within(states: &WatchStates) -> Option<Option<Vec<Option<Held>>>> {
    use futures::FutureExt;
    states.next().now_or_never().map(Result::unwrap)
  }
}
