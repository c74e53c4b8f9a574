//! The numbers of commits, which versionstamps are made of.
//!
//! A file has the number of its last commit in a row (`data_version`), and whoever commits writes the next
//! one there: one more page in the log, and on the disk, for every commit. A process that commits time after
//! time, with nobody else in between, need not: it writes a number ahead of its own, and uses up the numbers
//! to there. The next to commit, whoever it is, goes on behind the number in the row, so that numbers grow
//! from commit to commit in all processes; some are never used.

use std::os::raw::{c_uint, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

const GET: &str = "SELECT version FROM data_version WHERE k = 0";
const SET: &str = "UPDATE data_version SET version = ?1 WHERE k = 0";

/// How far the row runs ahead at most: so many commits in a row write it once.
const MOST_AHEAD: i64 = 63;

/// What is known of the row since the last transaction.
#[derive(Default)]
pub(super) struct Counter {
  /// The numbers, and what tells whether anybody else has committed since. `None` after a transaction that
  /// failed.
  known: Option<(Numbers, DataVersion)>,
}

/// SQLite's sign that the file has changed: it is another one after every commit of the connection, and in
/// its first transaction after a commit of anybody else, in whatever process.
type DataVersion = c_uint;

/// The numbers as a transaction sees them.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
  /// The last number that was used.
  last: i64,
  /// What is in the row: all up to this may be used.
  row: i64,
  /// How far the row is to run ahead the next time it is written.
  ahead: i64,
}

impl Counter {
  /// The numbers at the start of a transaction that has the write lock.
  pub(super) fn begin(&mut self, connection: &Connection) -> rusqlite::Result<Numbers> {
    if let Some((numbers, version)) = self.known.take()
      && data_version(connection) == Some(version)
    {
      return Ok(numbers);
    }
    let row = read(connection)?;
    Ok(Numbers {
      last: row,
      row,
      ahead: 0,
    })
  }

  /// The number of the last commit, if the last transaction was committed.
  pub(super) fn last(&self) -> i64 {
    self.known.map_or(0, |(numbers, _)| numbers.last)
  }

  /// The transaction is committed, and the connection has begun no other.
  pub(super) fn committed(&mut self, connection: &Connection, numbers: Numbers) {
    self.known = data_version(connection).map(|version| (numbers, version));
  }
}

impl Numbers {
  /// The number of the last commit.
  pub(super) fn last(&self) -> i64 {
    self.last
  }

  /// Numbers up to `last` have been used by the transaction, which is about to be committed. The row may run
  /// ahead where it is not what tells other processes of commits.
  pub(super) fn use_up(
    &mut self,
    connection: &Connection,
    last: i64,
    may_run_ahead: bool,
  ) -> rusqlite::Result<()> {
    if last > self.row {
      self.row = last + if may_run_ahead { self.ahead } else { 0 };
      // A script that commits a few times leaves few numbers unused.
      self.ahead = (2 * self.ahead + 1).min(MOST_AHEAD);
      connection.prepare_cached(SET)?.execute([self.row])?;
    }
    self.last = last;
    Ok(())
  }
}

/// The number in the row. No database comes near the end of its numbers: one that is there was damaged.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<i64> {
  let number = connection
    .prepare_cached(GET)?
    .query_row([], |row| row.get(0))?;
  if (0..i64::MAX / 2).contains(&number) {
    Ok(number)
  } else {
    Err(rusqlite::Error::IntegralValueOutOfRange(0, number))
  }
}

/// `None`: there is no way to tell.
fn data_version(connection: &Connection) -> Option<DataVersion> {
  let mut version: DataVersion = 0;
  // SAFETY: the handle is that of an open connection, which this thread uses alone: it is borrowed, and not
  // `Sync`. The call writes an unsigned integer to where the last argument points, as documented, and "main"
  // is a C string.
  let code = unsafe {
    ffi::sqlite3_file_control(
      connection.handle(),
      c"main".as_ptr(),
      ffi::SQLITE_FCNTL_DATA_VERSION,
      ptr::from_mut(&mut version).cast::<c_void>(),
    )
  };
  (code == ffi::SQLITE_OK).then_some(version)
}

#[cfg(test)]
mod tests {
  use std::time::Duration;

  use super::*;
  use crate::engine::{AtomicWrite, Check, CommitOutcome, Mutation, MutationKind};
  use crate::sqlite::commit::{File, commit_group, commit_one};
  use crate::sqlite::connect;
  use crate::sqlite::task::{Outcome, Task};
  use crate::value::Value;

  /// Somebody with a connection of their own, as in a process of their own.
  struct Process {
    connection: Connection,
    counter: Counter,
    is_wal: bool,
  }

  fn set(value: u64) -> Task {
    Task::Write(AtomicWrite {
      mutations: vec![Mutation {
        key: b"key".to_vec(),
        kind: MutationKind::Set(Value::U64(value)),
        expire_at: None,
      }],
      ..AtomicWrite::default()
    })
  }

  /// A write that fails: the key holds no such value.
  fn refused() -> Task {
    Task::Write(AtomicWrite {
      mutations: vec![
        Mutation {
          key: b"other".to_vec(),
          kind: MutationKind::Set(Value::U64(1)),
          expire_at: None,
        },
        Mutation {
          key: b"key".to_vec(),
          kind: MutationKind::Sum(Value::Bytes(vec![])),
          expire_at: None,
        },
      ],
      checks: vec![Check {
        key: b"nothing".to_vec(),
        versionstamp: None,
      }],
      ..AtomicWrite::default()
    })
  }

  fn number(outcome: &Outcome) -> i64 {
    let Outcome::Commit(CommitOutcome::Committed(versionstamp)) = outcome else {
      panic!("{outcome:?}");
    };
    i64::from_be_bytes(versionstamp.0[..8].try_into().unwrap())
  }

  impl Process {
    fn new(path: &std::path::Path) -> Self {
      Self {
        connection: connect::writer(path, Duration::ZERO).unwrap().connection,
        counter: Counter::default(),
        is_wal: true,
      }
    }

    fn file<T>(&mut self, work: impl FnOnce(&mut File<'_>) -> T) -> T {
      work(&mut File {
        connection: &mut self.connection,
        counter: &mut self.counter,
        is_wal: self.is_wal,
        begun: &mut |_, _| Ok(0),
      })
    }

    fn commit(&mut self) -> i64 {
      self.file(|file| number(&commit_one(file, &set(1)).unwrap()))
    }

    fn fail(&mut self) {
      assert!(self.file(|file| commit_one(file, &refused()).is_err()));
    }

    /// Three commits in one transaction, one of which fails in its middle.
    fn group(&mut self) -> Vec<i64> {
      let group = [set(1), refused(), set(2)];
      let outcomes = self.file(|file| commit_group(file, &group).unwrap());
      outcomes.iter().flatten().map(number).collect()
    }

    fn row(&self) -> i64 {
      read(&self.connection).unwrap()
    }

    /// As Deno does it.
    fn commit_like_deno(&self) -> i64 {
      let sql = "UPDATE data_version SET version = version + 1 WHERE k = 0 RETURNING version";
      self
        .connection
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
    }
  }

  #[test]
  fn who_commits_alone_writes_the_row_seldom() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut process = Process::new(&folder.path().join("kv"));
    let mut writes = 0;
    for commit in 1..=1000 {
      let before = process.row();
      assert_eq!(process.commit(), commit);
      writes += i64::from(process.row() != before);
      assert!((commit..=commit + MOST_AHEAD).contains(&process.row()));
    }
    assert!(writes < 25, "{writes}");
    // Whoever opens the file next goes on behind all that were used.
    let row = process.row();
    drop(process);
    let mut process = Process::new(&folder.path().join("kv"));
    assert_eq!(process.commit(), row + 1);
    assert_eq!(process.row(), row + 1);
  }

  #[test]
  fn without_a_log_that_counts_the_row_tells_of_every_commit() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut process = Process::new(&folder.path().join("kv"));
    process.is_wal = false;
    for commit in 1..=100 {
      assert_eq!(process.commit(), commit);
      assert_eq!(process.row(), commit);
    }
  }

  #[test]
  fn numbers_grow_from_commit_to_commit_whoever_makes_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let mut processes = [(); 3].map(|()| Process::new(&path));
    let mut last = 0;
    let mut random = 1_u32;
    for _ in 0..3000 {
      random ^= random << 13;
      random ^= random >> 17;
      random ^= random << 5;
      // One after another of the same process is more likely than not.
      let process = &mut processes[(random >> 8) as usize % 3];
      for _ in 0..random % 7 {
        let numbers = match (random >> 16) % 20 {
          0 => vec![process.commit_like_deno()],
          1 => {
            process.fail();
            vec![]
          }
          2 => process.group(),
          3 => {
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            process.connection.query_row(sql, [], |_| Ok(())).unwrap();
            vec![]
          }
          _ => vec![process.commit()],
        };
        for number in numbers {
          assert!(number > last, "{number} after {last}");
          last = number;
        }
      }
    }
    // Some are left out, but not most.
    assert!(last < 40_000, "{last}");
  }
}
