use std::cell::Cell;

use super::*;
use crate::sqlite::read::pooled::{CALM_MS, READS, STREAK};

struct File {
  _folder: tempfile::TempDir,
  pool: Pool,
  /// As another process has it.
  other: Connection,
  asked_to_evict: Cell<u32>,
}

impl File {
  fn new() -> Self {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let other = connect::writer(&path, &SqliteOptions::default(), Duration::ZERO)
      .unwrap()
      .connection;
    let file = Self {
      _folder: folder,
      pool: Pool::open(path, &SqliteOptions::default()).unwrap(),
      other,
      asked_to_evict: Cell::new(0),
    };
    assert!(file.log_is_free());
    file
  }

  fn count(&self) {
    let sql = "UPDATE data_version SET version = version + 1";
    self.other.execute(sql, []).unwrap();
  }

  /// The counter, and whether the snapshot it was read from is kept.
  fn read(&self, now_ms: u64) -> (i64, bool) {
    let ask = || self.asked_to_evict.set(self.asked_to_evict.get() + 1);
    let sql = "SELECT version FROM data_version";
    let version = self.pool.read(now_ms, ask, |connection| {
      Ok(connection.query_row(sql, [], |row| row.get(0))?)
    });
    let keeps = |state: &PoolState| state.idle.iter().any(|reader| reader.kept.is_some());
    (version.unwrap(), keeps(&lock(&self.pool.state)))
  }

  /// How many of as many reads as could share a snapshot keep theirs.
  fn keeps(&self, now_ms: u64) -> usize {
    (0..READS).filter(|_| self.read(now_ms).1).count()
  }

  /// Keeps a snapshot, though the log is not empty.
  fn keep(&self) {
    self.count();
    assert!((0..=CALM_MS).any(|now_ms| self.keeps(now_ms) > 0));
  }

  /// Whether the log can be emptied: nobody keeps a snapshot of it.
  fn log_is_free(&self) -> bool {
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy: i64 = self.other.query_row(sql, [], |row| row.get(0)).unwrap();
    busy == 0
  }
}

#[test]
fn keeps_the_newest_snapshot_in_a_streak() {
  let file = File::new();
  for _ in 0..STREAK {
    assert_eq!(file.read(0), (0, false));
  }
  assert_eq!(file.read(0), (0, true));
  assert_eq!(file.read(1), (0, true));
  file.count();
  assert_eq!(file.read(1), (1, false));
  assert_eq!(file.asked_to_evict.get(), 1);
}

#[test]
fn keeps_none_while_the_log_is_written() {
  let file = File::new();
  for now_ms in 0..100 {
    if now_ms % 5 == 0 {
      file.count();
    }
    assert_eq!(file.keeps(now_ms), 0);
  }
  // Since 95 it has been as it is.
  assert!((100..95 + CALM_MS).all(|now_ms| file.keeps(now_ms) == 0));
  assert_eq!(file.keeps(95 + CALM_MS), READS as usize);
  assert!(!file.log_is_free());
  // Once all of it is in the file, a snapshot does not need it.
  let now_ms = 96 + CALM_MS;
  file.count();
  assert!(!file.read(now_ms).1);
  let sql = "PRAGMA wal_checkpoint(PASSIVE)";
  file.other.query_row(sql, [], |_| Ok(())).unwrap();
  assert_eq!(file.keeps(now_ms), (READS - STREAK + 1) as usize);
  file.count();
  let pages: i64 = file.other.query_row(sql, [], |row| row.get(1)).unwrap();
  assert_eq!(pages, 1);
}

#[test]
fn keeps_none_between_pauses() {
  let file = File::new();
  for lone in 0..100 {
    assert_eq!(file.read(2 * lone), (0, false));
  }
  // The clock is set back.
  assert_eq!(file.read(0), (0, false));
  assert_eq!(file.keeps(0), (READS - STREAK + 1) as usize);
}

#[test]
fn releases_after_some_reads() {
  let file = File::new();
  let kept = (0..500).filter(|_| file.read(0).1).count();
  assert!((450..490).contains(&kept), "{kept}");
}

#[test]
fn evicts_unused_snapshots() {
  let file = File::new();
  file.keep();
  assert!(file.pool.evict());
  assert!(!file.log_is_free());
  assert!(!file.pool.evict());
  assert!(file.log_is_free());
  // And it is asked for again.
  file.keep();
  assert_eq!(file.asked_to_evict.get(), 2);
}

#[test]
fn release_reaches_running_reads() {
  let file = File::new();
  file.keep();
  file.pool.release();
  assert!(file.log_is_free());
  file.keep();
  let result = file.pool.read(
    CALM_MS,
    || (),
    |connection| {
      file.pool.release();
      assert!(!connection.is_autocommit());
      Ok(())
    },
  );
  result.unwrap();
  assert!(file.log_is_free());
}

#[test]
fn failed_read_keeps_nothing() {
  let file = File::new();
  file.keep();
  let result = file.pool.read(
    0,
    || (),
    |_| -> Result<(), _> { Err(ReadError::OverBudget) },
  );
  assert!(result.is_err());
  assert!(file.log_is_free());
}

#[test]
fn first_error_is_told() {
  let file = File::new();
  file.keep();
  let result = file.pool.read(
    CALM_MS,
    || (),
    |connection| -> Result<(), _> {
      connection.execute_batch("ROLLBACK")?;
      Err(ReadError::OverBudget)
    },
  );
  assert!(matches!(result, Err(ReadError::OverBudget)));
  assert_eq!(file.read(CALM_MS).0, 1);
}

#[test]
fn dropped_snapshot_frees_its_place() {
  let file = File::new();
  let waiting: Vec<_> = (0..SNAPSHOTS)
    .map(|_| file.pool.snapshot().unwrap().unwrap())
    .collect();
  assert!(file.pool.snapshot().unwrap().is_none());
  drop(waiting);
  assert!(file.log_is_free());
  for _ in 0..2 * SNAPSHOTS {
    let snapshot = file.pool.snapshot().unwrap().unwrap();
    file.pool.read_from(snapshot, |_| Ok(())).unwrap();
  }
}

#[test]
fn long_read_has_its_own_snapshot() {
  let file = File::new();
  file.keep();
  let result = file.pool.read_alone(|connection| {
    assert!(connection.is_autocommit());
    Ok(())
  });
  result.unwrap();
}

#[test]
fn cache_and_map_have_the_size_asked_for() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let _writer = connect::writer(&path, &SqliteOptions::default(), Duration::ZERO)
    .unwrap()
    .connection;
  let pragmas = |options: &SqliteOptions| {
    let pool = Pool::open(path.clone(), options).unwrap();
    let found = pool.read_alone(|connection| {
      let get = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
      Ok((get("cache_size")?, get("mmap_size")?))
    });
    found.unwrap()
  };
  assert_eq!(pragmas(&SqliteOptions::default()), (-(16 << 10), 0));
  let mut options = SqliteOptions {
    cache_size: 1 << 20,
    mmap_size: 1 << 30,
    ..SqliteOptions::default()
  };
  assert_eq!(pragmas(&options), (-(1 << 10), 1 << 30));
  // SQLite has a limit of its own for the map.
  (options.cache_size, options.mmap_size) = (u64::MAX, u64::MAX);
  let (cache, map) = pragmas(&options);
  assert_eq!(cache, -i64::from(i32::MAX));
  assert!(map > 1 << 30);
}
