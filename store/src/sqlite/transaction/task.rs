use std::time::{Duration, Instant};

use super::expiry::Removed;
use crate::engine::{AtomicWrite, CommitOutcome, Entries, ReadRange};
use crate::sqlite::queue::{Batch, Lease, Moved};

/// Something to do in a transaction: on its own, all of it or nothing, whatever it shares the
/// transaction with.
#[derive(Debug)]
pub(crate) enum Task {
  Write(AtomicWrite),
  /// Read, after the writes before it and before those behind it.
  Read(Vec<ReadRange>),
  /// Take messages that are due, and lease them.
  Take {
    max: usize,
  },
  /// Remove a message that was delivered (ack), or move one that was not (nack).
  EndDelivery {
    lease: Lease,
    delivered: bool,
  },
  /// Put messages back whose delivery was not tried.
  Release(Vec<Lease>),
  /// Renew leases: this process lives, or leaves them to be adopted within this time.
  Renew {
    leases: Vec<Lease>,
    lease: Duration,
  },
  /// Take over messages that are leased, by their ids.
  Adopt(Vec<String>),
  /// Find messages with an expired lease: their process seems to have died.
  FindExpiredLeases,
  /// Put those of them back whose lease was not renewed since.
  Reclaim {
    noticed: Vec<Lease>,
    asked: Instant,
  },
  /// Remove some of the rows that have expired.
  RemoveExpired,
  /// Read the database's id, and make it first if there is none.
  DatabaseId,
}

impl Task {
  /// Whether one statement makes all the changes there are: if it fails, it leaves nothing by itself.
  pub(super) fn is_one_statement(&self) -> bool {
    match self {
      Self::Write(write) => write.id.is_none() && write.mutations.len() + write.enqueues.len() <= 1,
      Self::Read(_) => true,
      _ => false,
    }
  }
}

/// What a task has done.
#[derive(Debug)]
pub(crate) enum Outcome {
  Commit(CommitOutcome),
  Read(Vec<Entries>),
  Taken(Batch),
  Moved(Moved),
  /// The leases that this process still holds, with their new deadline.
  Renewed(Vec<Lease>),
  ExpiredLeases(Vec<Lease>),
  /// The leases that were taken over.
  Adopted(Vec<Lease>),
  Removed(Removed),
  DatabaseId([u8; 16]),
}

impl Outcome {
  /// The outcome of a write.
  pub(crate) fn into_commit(self) -> CommitOutcome {
    match self {
      Self::Commit(outcome) => outcome,
      // No write has another outcome.
      _ => CommitOutcome::CheckFailed(Vec::new()),
    }
  }

  /// The outcome of [`Task::DatabaseId`].
  pub(crate) fn into_database_id(self) -> Option<[u8; 16]> {
    match self {
      Self::DatabaseId(id) => Some(id),
      _ => None,
    }
  }

  /// Whether keys were changed, under a version of their own.
  pub(super) fn uses_version(&self) -> bool {
    match self {
      Self::Commit(outcome) => matches!(outcome, CommitOutcome::Committed(_)),
      Self::Moved(moved) => !moved.undelivered.is_empty(),
      Self::Removed(removed) => !removed.keys.is_empty(),
      Self::Read(_)
      | Self::Taken(_)
      | Self::Renewed(_)
      | Self::ExpiredLeases(_)
      | Self::Adopted(_)
      | Self::DatabaseId(_) => false,
    }
  }
}
