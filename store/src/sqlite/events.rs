//! What follows from a commit: watchers are woken, messages handed over, rows that expire noted.

use std::sync::{Arc, OnceLock, Weak};

use super::caretaker::{Alarm, Caretaker};
use super::commit::with_versionstamp;
use super::dispatcher::Dispatcher;
use super::news::News;
use super::readers::Readers;
use super::task::{Job, Outcome, Task};
use super::watchers::Watchers;
use crate::engine::{
  AtomicWrite, Clock, CommitOutcome, Drive, Durability, MutationKind, StoreError, Watcher,
};
use crate::versionstamp::Versionstamp;

/// Whoever does tasks: the writer of a file, or a database in memory.
pub(super) trait Host: Drive {
  /// Hands a task over. It will be done; `somebody_waits` says whether anybody will lead.
  fn submit(self: Arc<Self>, job: Job, somebody_waits: bool) -> Result<(), StoreError>;
}

/// What goes on around one open database.
pub(super) struct Events {
  pub(super) watchers: Arc<Watchers>,
  pub(super) dispatcher: Dispatcher,
  pub(super) alarm: Alarm,
  caretaker: Caretaker,
  /// Of the file, if it is one: other processes may open it too.
  pub(super) readers: Option<Arc<Readers>>,
  clock: Arc<dyn Clock>,
  host: OnceLock<Weak<dyn Host>>,
  pub(super) news: News,
}

impl Events {
  /// `readers` are those of the file; a database in memory has none.
  pub(super) fn new(clock: Arc<dyn Clock>, readers: Option<Arc<Readers>>) -> Arc<Self> {
    Arc::new(Self {
      watchers: Arc::default(),
      dispatcher: Dispatcher::default(),
      alarm: Alarm::default(),
      caretaker: Caretaker::default(),
      readers,
      clock,
      host: OnceLock::new(),
      news: News::default(),
    })
  }

  /// To be called once, before anything else: who does the tasks that follow from others.
  pub(super) fn set_host(&self, host: Weak<dyn Host>) {
    // There is one place that calls it.
    let _ = self.host.set(host);
  }

  pub(super) fn now_ms(&self) -> u64 {
    self.clock.now_ms()
  }

  fn host(&self) -> Option<Arc<dyn Host>> {
    self.host.get().and_then(Weak::upgrade)
  }

  /// What waiting can do for tasks that are submitted with `submit_led`.
  pub(super) fn driver(&self) -> Option<Arc<dyn Drive>> {
    self.host().map(|host| host as Arc<dyn Drive>)
  }

  /// Hands over a task that nobody waits for.
  pub(super) fn submit(&self, job: Job) -> Result<(), StoreError> {
    self.host().ok_or(StoreError::Stopped)?.submit(job, false)
  }

  /// Hands over a task that somebody waits for, with the driver.
  pub(super) fn submit_led(&self, job: Job) -> Result<(), StoreError> {
    self.host().ok_or(StoreError::Stopped)?.submit(job, true)
  }

  /// The same as `submit`, for a task whose failure changes nothing: it is due again later.
  pub(super) fn call(&self, task: Task, durability: Durability) {
    let _ = self.submit(Job::call(task, durability, |_| ()));
  }

  /// A task has been committed.
  pub(super) fn happened(self: &Arc<Self>, task: &Task, outcome: &Outcome) {
    match (task, outcome) {
      (Task::Write(write), Outcome::Commit(CommitOutcome::Committed(versionstamp))) => {
        self.raise_written(write, *versionstamp);
        self.note_times(write);
      }
      (
        _,
        Outcome::Moved {
          undelivered,
          due_at,
        },
      ) => {
        self.watchers.raise(undelivered.iter().map(Vec::as_slice));
        if let Some(due_at) = due_at {
          self.note_due(*due_at);
        }
      }
      (_, Outcome::Beaten { renewed }) => self.dispatcher.beaten(renewed),
      (_, Outcome::Lost(messages)) => self.dispatcher.noticed(messages),
      (_, Outcome::Swept { keys, next }) => {
        self.watchers.raise(keys.iter().map(Vec::as_slice));
        self.alarm.swept(*next);
      }
      _ => {}
    }
  }

  fn raise_written(&self, write: &AtomicWrite, versionstamp: Versionstamp) {
    if self.watchers.is_empty() {
      return;
    }
    for mutation in &write.mutations {
      match mutation.kind {
        MutationKind::SetWithVersionstamp(_) => {
          let key = with_versionstamp(&mutation.key, versionstamp);
          self.watchers.raise([key.as_slice()]);
        }
        _ => self.watchers.raise([mutation.key.as_slice()]),
      }
    }
  }

  fn note_times(self: &Arc<Self>, write: &AtomicWrite) {
    let expiries = write
      .mutations
      .iter()
      .filter_map(|mutation| mutation.expire_at);
    if let Some(first) = expiries.min() {
      self.note_expiry(first);
    }
    let dues = write.enqueues.iter().map(|enqueue| enqueue.due_at);
    if let Some(first) = dues.min() {
      self.note_due(first);
    }
  }

  fn note_due(self: &Arc<Self>, due_at: u64) {
    self.dispatcher.note_due(due_at);
    Dispatcher::pump(self);
    self.alarm.ring();
  }

  /// A row expires at this time.
  pub(super) fn note_expiry(self: &Arc<Self>, expires_at: u64) {
    if self.alarm.note_expiry(expires_at) {
      self.start_caretaker();
    }
  }

  /// Watches keys.
  pub(super) fn watch(self: &Arc<Self>, keys: Vec<Vec<u8>>) -> Watcher {
    let watcher = self.watchers.watch(keys);
    self.start_caretaker();
    watcher
  }

  /// There is something to look after, and to wait for.
  pub(super) fn start_caretaker(self: &Arc<Self>) {
    self.caretaker.start(self);
    self.alarm.ring();
  }

  /// Ends all who wait, and the caretaker.
  pub(super) fn close(&self) {
    self.watchers.close();
    self.dispatcher.close();
    self.alarm.close();
    self.caretaker.join();
  }
}
