//! What happens beside reads and writes: watchers are woken, expired rows removed, messages fall due, and other
//! processes commit.

mod expiry_schedule;
mod maintenance;
mod watchers;

use std::sync::{Arc, Weak};

use super::alarm::Alarm;
use super::delivery::Dispatcher;
use super::transaction::{Outcome, Task};
use super::write::{AfterCommit, Executor};
use crate::engine::{
  AtomicWrite, Clock, CommitOutcome, MutationKind, Stats, WRITE_ID_TTL, Watcher,
};
use crate::versionstamp::Versionstamp;
use expiry_schedule::ExpirySchedule;
use maintenance::Maintenance;
pub(crate) use maintenance::SharedFile;
use watchers::Watchers;

/// The background of one open database.
pub(crate) struct Background {
  watchers: Arc<Watchers>,
  dispatcher: Arc<Dispatcher>,
  expiry: Arc<ExpirySchedule>,
  maintenance: Arc<Maintenance>,
  alarm: Arc<Alarm>,
  clock: Arc<dyn Clock>,
}

impl Background {
  /// `file` is the file that other processes may open too; a database in memory has none. `executor` does the tasks.
  pub(crate) fn new(
    clock: Arc<dyn Clock>,
    executor: Weak<dyn Executor>,
    file: Option<SharedFile>,
  ) -> Arc<Self> {
    let alarm = Arc::new(Alarm::default());
    let watchers = Arc::new(Watchers::default());
    let dispatcher = Dispatcher::new(clock.clone(), alarm.clone(), executor.clone());
    let expiry = ExpirySchedule::new(clock.clone(), alarm.clone(), watchers.clone(), executor);
    let maintenance = Maintenance::new(
      clock.clone(),
      alarm.clone(),
      watchers.clone(),
      dispatcher.clone(),
      expiry.clone(),
      file,
    );
    Arc::new(Self {
      watchers,
      dispatcher,
      expiry,
      maintenance,
      alarm,
      clock,
    })
  }

  /// Watches keys.
  pub(crate) fn watch(&self, keys: Vec<Vec<u8>>) -> Watcher {
    let watcher = self.watchers.watch(keys);
    self.maintenance.start();
    watcher
  }

  /// The dispatcher, for a new listener.
  pub(crate) fn dispatcher(&self) -> Arc<Dispatcher> {
    self.maintenance.start();
    self.dispatcher.clone()
  }

  /// A row expires at this time.
  pub(crate) fn note_expiry(&self, expires_at: u64) {
    if self.expiry.note(expires_at) {
      self.maintenance.start();
    }
  }

  /// Starts the maintenance thread: there is a snapshot to evict.
  pub(crate) fn start_maintenance(&self) {
    self.maintenance.start();
  }

  /// Adds what this knows to `stats`.
  pub(crate) fn add_stats(&self, stats: &mut Stats) {
    stats.watchers = self.watchers.len() as u64;
    let (listeners, delivering) = self.dispatcher.counts();
    stats.listeners = listeners as u64;
    stats.delivering = delivering as u64;
  }

  /// Ends every wait of watchers and listeners.
  pub(crate) fn end_waits(&self) {
    self.watchers.close();
    self.dispatcher.close();
  }

  /// Ends every wait, and the maintenance thread.
  pub(crate) fn close(&self) {
    self.end_waits();
    self.alarm.close();
    self.maintenance.join();
  }

  fn note_due(&self, due_at: u64) {
    self.dispatcher.note_due(due_at);
    self.dispatcher.pump();
    self.alarm.ring();
  }

  fn wake_watchers(&self, write: &AtomicWrite, versionstamp: Versionstamp) {
    if self.watchers.is_empty() {
      return;
    }
    for mutation in &write.mutations {
      match mutation.kind {
        MutationKind::SetWithVersionstamp(_) => {
          let key = versionstamp.appended_to(&mutation.key);
          self.watchers.raise([key.as_slice()]);
        }
        _ => self.watchers.raise([mutation.key.as_slice()]),
      }
    }
  }

  fn note_times(&self, write: &AtomicWrite) {
    let expiries = write
      .mutations
      .iter()
      .filter_map(|mutation| mutation.expire_at);
    if let Some(first) = expiries.min() {
      self.note_expiry(first);
    }
    if write.id.is_some() {
      let ttl = WRITE_ID_TTL.as_millis().try_into().unwrap_or(u64::MAX);
      self.note_expiry(self.clock.now_ms().saturating_add(ttl));
    }
    let dues = write.enqueues.iter().map(|enqueue| enqueue.due_at);
    if let Some(first) = dues.min() {
      self.note_due(first);
    }
  }
}

impl AfterCommit for Background {
  fn committed(&self, task: &Task, outcome: &Outcome) {
    match (task, outcome) {
      (Task::Write(write), Outcome::Commit(CommitOutcome::Committed(versionstamp))) => {
        self.wake_watchers(write, *versionstamp);
        self.note_times(write);
      }
      (_, Outcome::Moved(moved)) => {
        self
          .watchers
          .raise(moved.undelivered.iter().map(Vec::as_slice));
        if let Some(due_at) = moved.due_at {
          self.note_due(due_at);
        }
      }
      (_, Outcome::Renewed(leases)) => self.dispatcher.renewed(leases),
      (_, Outcome::ExpiredLeases(leases)) => self.dispatcher.note_expired(leases),
      (_, Outcome::Removed(removed)) => {
        self.watchers.raise(removed.keys.iter().map(Vec::as_slice));
        self.expiry.removed(removed.next_expiry);
      }
      _ => {}
    }
  }

  fn foreign_commits(&self) {
    self.watchers.raise_all();
  }
}
