use rusqlite::Connection;

use crate::sqlite::wal::index::{IndexReader, WalIndex};

/// A snapshot is kept from this read of a streak on: a script that reads a few keys needs no eviction.
pub(super) const STREAK: u32 = 16;

/// So many reads share a snapshot. Another process that needs all snapshots released finds a gap after that, every
/// 100 µs; more reads would save little.
pub(super) const READS: u32 = 32;

/// Reads form a streak if no more time than this lies between them, by the store's clock.
const PAUSE_MS: u64 = 1;

/// A log that has not been written to for so long, by the store's clock, is not about to be checkpointed.
pub(super) const CALM_MS: u64 = 10;

/// A connection of the pool, and perhaps the snapshot that it keeps.
pub(super) struct PooledConnection {
  pub(super) connection: Connection,
  pub(super) kept: Option<Kept>,
  /// When it last read, and how many reads the streak has.
  last_ms: u64,
  streak: u32,
  index: IndexReader,
  /// The index, and when it was first seen like that.
  seen: Option<(WalIndex, u64)>,
}

/// A snapshot that is kept: a transaction is open.
pub(super) struct Kept {
  /// From before the snapshot was taken: a later commit has changed it.
  index: WalIndex,
  /// The pool's epoch when it was taken.
  pub(super) epoch: u64,
  reads_left: u32,
  /// Since the last eviction.
  pub(super) is_used: bool,
}

impl PooledConnection {
  pub(super) fn new(connection: Connection, reads_wal_index: bool) -> Self {
    Self {
      connection,
      kept: None,
      last_ms: 0,
      streak: 0,
      index: IndexReader::new(reads_wal_index),
      seen: None,
    }
  }

  /// Prepares for a read: afterwards the snapshot that is kept is the newest, or none is.
  pub(super) fn prepare(&mut self, now_ms: u64, epoch: u64) -> rusqlite::Result<()> {
    // If the clock was set back, this is a very long time.
    let is_streak = now_ms.wrapping_sub(self.last_ms) <= PAUSE_MS;
    self.last_ms = now_ms;
    if let Some(kept) = &mut self.kept {
      let is_newest = self.index.read(&self.connection) == Some(kept.index);
      if is_newest && kept.reads_left > 0 {
        kept.reads_left -= 1;
        kept.is_used = true;
        return Ok(());
      }
      self.release()?;
      if is_newest {
        // One read takes a snapshot of its own, and the next keeps its.
        self.streak = STREAK - 1;
      }
    }
    self.streak = if is_streak {
      self.streak.saturating_add(1)
    } else {
      1
    };
    if self.streak > STREAK
      && let Some(index) = self.index.read(&self.connection)
      && (index.is_backfilled() || self.is_calm(index, now_ms))
    {
      self.connection.prepare_cached("BEGIN")?.execute([])?;
      self.kept = Some(Kept {
        index,
        epoch,
        reads_left: READS,
        is_used: true,
      });
    }
    Ok(())
  }

  fn is_calm(&mut self, index: WalIndex, now_ms: u64) -> bool {
    match self.seen {
      Some((seen, since)) if seen == index => now_ms.wrapping_sub(since) >= CALM_MS,
      _ => {
        self.seen = Some((index, now_ms));
        false
      }
    }
  }

  /// Releases the snapshot, if one is kept, and ends the streak.
  pub(super) fn release(&mut self) -> rusqlite::Result<()> {
    self.streak = 0;
    if self.kept.take().is_some() {
      self.end_snapshot()?;
    }
    Ok(())
  }

  /// Ends the transaction. After some errors SQLite has ended it itself.
  pub(super) fn end_snapshot(&self) -> rusqlite::Result<()> {
    if !self.connection.is_autocommit() {
      self.connection.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok(())
  }
}
