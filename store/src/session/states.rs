use std::fmt;
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
    let watcher = backend.watch(keys)?;
    Ok(Self {
      backend: Mutex::new(Some(backend)),
      watcher,
      points,
      tells_all,
      last: Mutex::default(),
    })
  }

  /// What the keys hold, once that is new. `None`: it is closed, or there are no keys, which never change. One call is
  /// at work at a time.
  ///
  /// # Errors
  /// The engine can't watch any more, or can't read.
  pub async fn next(&self) -> Result<Option<Vec<Option<Held>>>, StoreError> {
    while !self.points.is_empty() {
      let is_first = locked(&self.last).is_none();
      let change = match is_first {
        true => Change::Unknown,
        false => match self.watcher.changed().await? {
          Some(change) => change,
          None => return Ok(None),
        },
      };
      let state = match change {
        Change::Values(values) => values,
        Change::Unknown => match self.read().await? {
          Some(state) => state,
          None => return Ok(None),
        },
      };
      let stamps: Vec<_> = state
        .iter()
        .map(|held| held.as_ref().map(|held| held.versionstamp))
        .collect();
      let last = locked(&self.last).replace(stamps.clone());
      if self.tells_all || last.as_ref() != Some(&stamps) {
        return Ok(Some(state));
      }
    }
    Ok(None)
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
