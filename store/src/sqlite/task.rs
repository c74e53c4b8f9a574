//! What is done with the write connection, and what comes of it.

use std::time::Instant;

use super::order::Outstanding;
use crate::engine::{
  AtomicWrite, CommitOutcome, Durability, Entries, ReadRange, Reply, StoreError,
};

/// Something to do in a transaction: on its own, all of it or nothing, whatever it shares the
/// transaction with.
#[derive(Debug)]
pub(super) enum Task {
  Write(AtomicWrite),
  /// Read, after the writes before it and before those behind it.
  Read(Vec<ReadRange>),
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
  /// Find messages whose process seems to have died.
  NoticeLost,
  /// Those of them that have had no heartbeat since go back to the queue.
  Reclaim {
    noticed: Vec<Running>,
    asked: Instant,
  },
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
  Read(Vec<Entries>),
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
    /// Those that are still this process's, with their new deadline.
    renewed: Vec<Running>,
  },
  /// Messages without a heartbeat for too long.
  Lost(Vec<Running>),
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
      Self::Read(_) | Self::Taken { .. } | Self::Beaten { .. } | Self::Lost(_) => false,
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
  /// The place in the order of the handle that has asked for it.
  place: Option<Outstanding>,
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
      place: None,
    }
  }

  /// A read behind writes; `bytes` is what it may take.
  pub(super) fn read(ranges: Vec<ReadRange>, bytes: usize, reply: Reply<Vec<Entries>>) -> Self {
    let then = |result: Result<Outcome, StoreError>| {
      let entries = result.and_then(|outcome| match outcome {
        Outcome::Read(entries) => Ok(entries),
        // No read comes to anything else.
        _ => Err(StoreError::Stopped),
      });
      // Nobody waits any more where sending fails: the handle was closed.
      let _ = reply.send(entries);
    };
    Self {
      bytes,
      // A read asks for no sync; the writes it shares a transaction with do.
      ..Self::call(Task::Read(ranges), Durability::Relaxed, then)
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
      place: None,
    }
  }

  /// The same with a place in the order of a handle.
  pub(super) fn at(mut self, place: Outstanding) -> Self {
    self.place = Some(place);
    self
  }

  /// Answers it. Before that its place is free: a handle whose calls are all answered has nothing
  /// outstanding.
  pub(super) fn answer(self, result: Result<Outcome, StoreError>) {
    drop(self.place);
    self.waiter.tell(result);
  }
}

impl Waiter {
  fn tell(self, result: Result<Outcome, StoreError>) {
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
