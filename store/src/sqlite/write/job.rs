use std::sync::Arc;
use std::time::Instant;

use super::order::Outstanding;
use crate::engine::{
  AtomicWrite, CommitOutcome, Durability, Entries, Leader, ReadRange, Reply, StoreError,
};
use crate::sqlite::transaction::{Outcome, Task};

/// Does jobs: the group commit of a file, or a database in memory.
pub(crate) trait Executor: Leader {
  /// Hands a job over. It will be done. `caller_leads` says whether whoever waits for the answer calls
  /// [`Leader::lead`].
  ///
  /// # Errors
  /// The thread can't be started. Then nothing of the job is kept.
  fn submit(self: Arc<Self>, job: Job, caller_leads: bool) -> Result<(), StoreError>;
}

/// A task, and who waits for it.
pub(crate) struct Job {
  pub(super) task: Task,
  pub(super) durability: Durability,
  waiter: Waiter,
  pub(super) submitted: Instant,
  /// Of keys, values and messages.
  pub(super) bytes: usize,
  /// The place in the order of the handle that has asked for it.
  place: Option<Outstanding>,
}

/// Gets the outcome of a task.
enum Waiter {
  Commit(Reply<CommitOutcome>),
  Call(Box<dyn FnOnce(Result<Outcome, StoreError>) + Send>),
}

impl Job {
  pub(crate) fn write(
    write: AtomicWrite,
    durability: Durability,
    reply: Reply<CommitOutcome>,
  ) -> Self {
    let bytes = write.size();
    let waiter = Waiter::Commit(reply);
    Self::new(Task::Write(write), durability, waiter, bytes)
  }

  /// A read behind writes; `bytes` is what it may take.
  pub(crate) fn read(ranges: Vec<ReadRange>, bytes: usize, reply: Reply<Vec<Entries>>) -> Self {
    let then = |result: Result<Outcome, StoreError>| {
      let entries = result.and_then(|outcome| match outcome {
        Outcome::Read(entries) => Ok(entries),
        // No read has another outcome.
        _ => Err(StoreError::closed()),
      });
      // Sending fails when the handle was closed: nobody waits any more.
      let _ = reply.send(entries);
    };
    let waiter = Waiter::Call(Box::new(then));
    // A read asks for no sync; the writes it shares a transaction with do.
    Self::new(Task::Read(ranges), Durability::Relaxed, waiter, bytes)
  }

  pub(crate) fn call(
    task: Task,
    durability: Durability,
    then: impl FnOnce(Result<Outcome, StoreError>) + Send + 'static,
  ) -> Self {
    Self::new(task, durability, Waiter::Call(Box::new(then)), 0)
  }

  /// A job whose failure changes nothing: it is due again later.
  pub(crate) fn unattended(task: Task, durability: Durability) -> Self {
    Self::call(task, durability, |_| ())
  }

  fn new(task: Task, durability: Durability, waiter: Waiter, bytes: usize) -> Self {
    Self {
      task,
      durability,
      waiter,
      submitted: Instant::now(),
      bytes,
      place: None,
    }
  }

  /// The same with a place in the order of a handle.
  pub(crate) fn at(mut self, place: Outstanding) -> Self {
    self.place = Some(place);
    self
  }

  pub(crate) fn task(&self) -> &Task {
    &self.task
  }

  /// Answers it. Before that its place is free: a handle whose calls are all answered has nothing
  /// outstanding.
  pub(crate) fn answer(self, result: Result<Outcome, StoreError>) {
    drop(self.place);
    match self.waiter {
      Waiter::Commit(reply) => {
        // Sending fails when the runtime that wrote is gone. The write stands.
        let _ = reply.send(result.map(Outcome::into_commit));
      }
      Waiter::Call(then) => then(result),
    }
  }
}
