//! The version allocator: the numbers of commits, which versionstamps are made of.
//!
//! A file holds the number of its last commit in a row (`data_version`), and every commit writes the next one there:
//! one more page in the log, and on the disk. A process that commits time after time, with nobody else in between,
//! need not: it writes a number ahead of its own, and uses up the numbers to there. The next to commit, whoever it is,
//! goes on behind the number in the row, so that numbers grow from commit to commit in all processes; some are never
//! used.

use rusqlite::Connection;

use crate::sqlite::sqlite_api::data_version;

const GET: &str = "SELECT version FROM data_version WHERE k = 0";
const SET: &str = "UPDATE data_version SET version = ?1 WHERE k = 0";

/// How far the row runs ahead at most: so many commits in a row write it once.
const MOST_AHEAD: i64 = 63;

/// What is known of the row since the last transaction.
#[derive(Default)]
pub(crate) struct VersionAllocator {
  /// The allocation, and SQLite's data version, which shows whether another connection has committed since. `None`
  /// after a transaction that failed.
  known: Option<(Allocation, u32)>,
}

/// The versions as a transaction sees them.
#[derive(Clone, Copy)]
pub(crate) struct Allocation {
  /// The last version that was used.
  last: i64,
  /// What is in the row: all up to this may be used.
  row: i64,
  /// How far the row is to run ahead the next time it is written.
  ahead: i64,
}

impl VersionAllocator {
  /// The versions at the start of a transaction that holds the write lock.
  pub(super) fn begin(&mut self, connection: &Connection) -> rusqlite::Result<Allocation> {
    if let Some((allocation, version)) = self.known.take()
      && data_version(connection) == Some(version)
    {
      return Ok(allocation);
    }
    let row = read(connection)?;
    Ok(Allocation {
      last: row,
      row,
      ahead: 0,
    })
  }

  /// The transaction is committed, and the connection has begun no other.
  pub(super) fn committed(&mut self, connection: &Connection, allocation: Allocation) {
    self.known = data_version(connection).map(|version| (allocation, version));
  }
}

impl Allocation {
  /// The version of the last commit.
  pub(super) fn last(&self) -> i64 {
    self.last
  }

  /// The transaction has used the versions up to `last`, and is about to be committed.
  pub(super) fn use_up(&mut self, connection: &Connection, last: i64) -> rusqlite::Result<()> {
    if last > self.row {
      self.row = last + self.ahead;
      // A script that commits a few times leaves few versions unused.
      self.ahead = (2 * self.ahead + 1).min(MOST_AHEAD);
      connection.prepare_cached(SET)?.execute([self.row])?;
    }
    self.last = last;
    Ok(())
  }
}

/// The version in the row. No database comes near the end of its versions: one that is there was damaged.
fn read(connection: &Connection) -> rusqlite::Result<i64> {
  let version = connection
    .prepare_cached(GET)?
    .query_row([], |row| row.get(0))?;
  if (0..i64::MAX / 2).contains(&version) {
    Ok(version)
  } else {
    Err(rusqlite::Error::IntegralValueOutOfRange(0, version))
  }
}

#[cfg(test)]
mod tests {
  use std::time::Duration;

  use super::*;
  use crate::engine::{AtomicWrite, Check, CommitOutcome, Mutation, MutationKind};
  use crate::sqlite::file::connect;
  use crate::sqlite::options::SqliteOptions;
  use crate::sqlite::transaction::{File, Outcome, Task, commit_group, commit_one};
  use crate::value::Value;

  /// Somebody with a connection of their own, as in a process of their own.
  struct Process {
    connection: Connection,
    versions: VersionAllocator,
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

  fn open(path: &std::path::Path) -> Connection {
    let opened = connect::writer(path, &SqliteOptions::default(), Duration::ZERO);
    opened.unwrap().connection
  }

  impl Process {
    fn new(path: &std::path::Path) -> Self {
      Self {
        connection: open(path),
        versions: VersionAllocator::default(),
      }
    }

    fn file<T>(&mut self, work: impl FnOnce(&mut File<'_>) -> T) -> T {
      work(&mut File {
        connection: &mut self.connection,
        versions: &mut self.versions,
        on_lock: &mut |_| Ok(0),
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
  fn lone_process_writes_the_row_seldom() {
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
  fn versions_grow_across_processes() {
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
