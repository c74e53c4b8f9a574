use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::mutex::lock;

/// Wakes the maintenance thread when there is something new for it to do.
#[derive(Default)]
pub(crate) struct Alarm {
  state: Mutex<State>,
  wake: Condvar,
}

#[derive(Default)]
struct State {
  /// Something has changed since the thread looked last.
  rung: bool,
  closed: bool,
}

impl Alarm {
  pub(crate) fn ring(&self) {
    let mut state = lock(&self.state);
    if !state.rung {
      state.rung = true;
      self.wake.notify_one();
    }
  }

  /// Sleeps until the alarm rings, or for `timeout`. False once the alarm is closed.
  pub(crate) fn sleep(&self, timeout: Duration) -> bool {
    let state = lock(&self.state);
    let (mut state, _timed_out) = self
      .wake
      .wait_timeout_while(state, timeout, |state| !state.rung && !state.closed)
      .unwrap_or_else(PoisonError::into_inner);
    state.rung = false;
    !state.closed
  }

  /// Ends every sleep, now and later.
  pub(crate) fn close(&self) {
    lock(&self.state).closed = true;
    self.wake.notify_one();
  }

  pub(crate) fn is_closed(&self) -> bool {
    lock(&self.state).closed
  }
}
