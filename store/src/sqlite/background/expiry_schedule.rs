use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::watchers::Watchers;
use crate::engine::{Clock, Durability, StoreError};
use crate::sqlite::alarm::Alarm;
use crate::sqlite::mutex::lock;
use crate::sqlite::transaction::{Outcome, Task};
use crate::sqlite::write::{Executor, Job};

/// The least time between two removals. Nobody reads what has expired; but a watcher must hear of it.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_WATCHED: Duration = Duration::from_millis(5);
/// While more has expired than one removal takes. Commits come between.
const PAUSE_MORE: Duration = Duration::from_millis(2);

/// Decides when expired rows are removed.
pub(super) struct ExpirySchedule {
  state: Mutex<State>,
  clock: Arc<dyn Clock>,
  alarm: Arc<Alarm>,
  watchers: Arc<Watchers>,
  executor: Weak<dyn Executor>,
}

#[derive(Default)]
struct State {
  /// When the next row expires, as far as known.
  expires_at: Option<u64>,
  is_removing: bool,
  not_before: Option<Instant>,
}

impl ExpirySchedule {
  pub(super) fn new(
    clock: Arc<dyn Clock>,
    alarm: Arc<Alarm>,
    watchers: Arc<Watchers>,
    executor: Weak<dyn Executor>,
  ) -> Arc<Self> {
    Arc::new(Self {
      state: Mutex::default(),
      clock,
      alarm,
      watchers,
      executor,
    })
  }

  /// A row expires at this time. True: it is the first to.
  pub(super) fn note(&self, expires_at: u64) -> bool {
    let mut state = lock(&self.state);
    let is_first = state.expires_at.is_none_or(|known| expires_at < known);
    if is_first {
      state.expires_at = Some(expires_at);
    }
    is_first
  }

  /// Rows were removed; the next one expires then.
  pub(super) fn removed(&self, next_expiry: Option<u64>) {
    lock(&self.state).expires_at = next_expiry;
  }

  /// How long until the next removal, if one is due at all.
  pub(super) fn until_removal(&self, now_ms: u64) -> Option<Duration> {
    let state = lock(&self.state);
    if state.is_removing {
      return None;
    }
    let expires_in = Duration::from_millis(state.expires_at?.saturating_sub(now_ms));
    let pause = state.not_before.map_or(Duration::ZERO, |time| {
      time.saturating_duration_since(Instant::now())
    });
    Some(expires_in.max(pause))
  }

  /// Begins to remove expired rows.
  pub(super) fn remove(self: &Arc<Self>) {
    lock(&self.state).is_removing = true;
    let weak = Arc::downgrade(self);
    let then = move |result: Result<Outcome, StoreError>| {
      if let Some(expiry) = weak.upgrade() {
        expiry.finished(result.is_ok());
      }
    };
    // If a power failure undoes it, it is done again: no sync.
    let job = Job::call(Task::RemoveExpired, Durability::Relaxed, then);
    let executor = self.executor.upgrade();
    if executor.is_none_or(|executor| executor.submit(job, false).is_err()) {
      lock(&self.state).is_removing = false;
    }
  }

  fn finished(&self, is_done: bool) {
    let now_ms = self.clock.now_ms();
    let mut state = lock(&self.state);
    state.is_removing = false;
    let has_more = state.expires_at.is_some_and(|next| next <= now_ms);
    let pause = match (is_done, has_more) {
      // The file is locked, or can't be written.
      (false, _) => PAUSE,
      (true, true) => PAUSE_MORE,
      (true, false) if !self.watchers.is_empty() => PAUSE_WATCHED,
      (true, false) => PAUSE,
    };
    state.not_before = Some(Instant::now() + pause);
    drop(state);
    self.alarm.ring();
  }
}
