//! What is done with the write connection, and what comes of it.

use std::time::Instant;

use crate::store::{AtomicWrite, CommitOutcome, Durability, Reply, StoreError};

/// Something to do in a transaction: on its own, all of it or nothing, whatever it shares the
/// transaction with.
#[derive(Debug)]
pub(super) enum Task {
  Write(AtomicWrite),
  /// Hand over messages that are due: they move to the table of those that are being delivered.
  Take {
    max: usize,
  },
  /// A delivery has ended.
  Finish {
    running: Running,
    delivered: bool,
  },
  /// Messages that were taken for somebody who is gone go back to where they were.
  PutBack(Vec<Running>),
  /// The process lives, and so do its deliveries.
  Heartbeat(Vec<Running>),
  /// Messages whose process has died go back to the queue.
  Revive,
  /// Some of the rows that have expired are removed.
  Sweep,
}

/// A message that is being delivered: where its row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
  pub(super) id: String,
  /// When it counts as lost, in UTC milliseconds, unless a heartbeat comes first.
  pub(super) deadline: u64,
}

/// What a task has done.
#[derive(Debug)]
pub(super) enum Outcome {
  Commit(CommitOutcome),
  Taken {
    messages: Vec<Taken>,
    /// When the next message is due.
    next_due: Option<u64>,
  },
  /// Messages have changed their place.
  Moved {
    /// Keys that messages which were given up have been written to.
    undelivered: Vec<Vec<u8>>,
    /// When the first of those that went back to the queue is due.
    due_at: Option<u64>,
  },
  Beaten {
    deadline: u64,
  },
  Swept {
    keys: Vec<Vec<u8>>,
    /// When the next row expires.
    next: Option<u64>,
  },
}

/// A message that was taken.
#[derive(Debug)]
pub(super) struct Taken {
  pub(super) running: Running,
  pub(super) payload: Vec<u8>,
}

impl Outcome {
  /// What a write has come to.
  pub(super) fn into_commit(self) -> CommitOutcome {
    match self {
      Self::Commit(outcome) => outcome,
      // No write comes to anything else.
      _ => CommitOutcome::CheckFailed,
    }
  }

  /// Whether keys were changed, under a versionstamp of their own.
  pub(super) fn uses_version(&self) -> bool {
    match self {
      Self::Commit(outcome) => matches!(outcome, CommitOutcome::Committed(_)),
      Self::Moved { undelivered, .. } => !undelivered.is_empty(),
      Self::Swept { keys, .. } => !keys.is_empty(),
      Self::Taken { .. } | Self::Beaten { .. } => false,
    }
  }
}

/// Who is told what has come of a task.
pub(super) enum Waiter {
  Commit(Reply<CommitOutcome>),
  Call(Box<dyn FnOnce(Result<Outcome, StoreError>) + Send>),
}

/// A task, and who waits for it.
pub(super) struct Job {
  pub(super) task: Task,
  pub(super) durability: Durability,
  pub(super) waiter: Waiter,
  pub(super) submitted: Instant,
  /// Of keys, values and messages.
  pub(super) bytes: usize,
}

impl Job {
  pub(super) fn write(
    write: AtomicWrite,
    durability: Durability,
    reply: Reply<CommitOutcome>,
  ) -> Self {
    Self {
      bytes: write.size(),
      task: Task::Write(write),
      durability,
      waiter: Waiter::Commit(reply),
      submitted: Instant::now(),
    }
  }

  pub(super) fn call(
    task: Task,
    durability: Durability,
    then: impl FnOnce(Result<Outcome, StoreError>) + Send + 'static,
  ) -> Self {
    Self {
      task,
      durability,
      waiter: Waiter::Call(Box::new(then)),
      submitted: Instant::now(),
      bytes: 0,
    }
  }
}

impl Waiter {
  pub(super) fn tell(self, result: Result<Outcome, StoreError>) {
    match self {
      Self::Commit(reply) => {
        let result = result.map(Outcome::into_commit);
        // Nobody waits any more where sending fails: the runtime that wrote is gone. The write
        // stands.
        let _ = reply.send(result);
      }
      Self::Call(then) => then(result),
    }
  }
}
