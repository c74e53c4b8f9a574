//! The connections that read, and the snapshots they keep.
//!
//! A read takes a snapshot and gives it back: a lock, the file's length while the log is empty, and an
//! unlock, three system calls that take as long as finding a row does. So where one read follows another
//! the snapshot is kept, and used again as long as it is the newest state of the file, which the log's
//! index tells ([`LogState`]): a read sees every commit that was answered before it began, whoever
//! made it.
//!
//! A snapshot that is kept can keep a checkpoint from its end, and the log from starting over. So none is
//! kept while anybody commits, and it is given back before this process commits, when all of the log has
//! been moved to the file, after some reads, and when nobody has used it for a moment.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use super::SqliteOptions;
use super::connect;
use super::log_state::{self, LogState};
use super::reader::ReadError;
use super::registry::lock;

/// Idle connections that are held ready: one for each thread that reads at the same time, in the usual
/// process. Each costs two or three file descriptors and its page cache.
const IDLE: usize = 4;

/// Snapshots that may wait for their reads. Each is a connection, and keeps the log from starting over.
const SNAPSHOTS: usize = 4;

const TAKE_SNAPSHOT: &str = "SELECT 1 FROM kv LIMIT 1";

/// So many reads have to follow one another first: a script that reads a few keys needs no `tidy`.
const ROW: u32 = 16;

/// So many reads share a snapshot. Another process that wants nobody to have one finds a gap after that,
/// every 100 µs; more would save little.
const READS: u32 = 32;

/// Reads follow one another if no more time than this lies between them, by the store's clock.
const PAUSE_MS: u64 = 1;

/// A log that has not been written to for so long, by the store's clock, is not about to be moved to the
/// file.
const CALM_MS: u64 = 10;

/// How often to call [`Readers::tidy`]. A snapshot that is not used is kept for twice as long at most.
pub(super) const TIDY: Duration = Duration::from_millis(10);

/// The connections of a file that read.
pub(super) struct Readers {
  path: PathBuf,
  cache_size: u64,
  mmap_size: u64,
  state: Mutex<State>,
  /// Snapshots that wait for their reads.
  waiting: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
  /// Those nobody is reading with. A read takes one out.
  idle: Vec<Reader>,
  /// How often all had to give their snapshots back.
  round: u64,
  /// Somebody calls `tidy`.
  tidied: bool,
}

/// A connection, and perhaps the snapshot it keeps.
struct Reader {
  connection: Connection,
  kept: Option<Kept>,
  /// When it last read, and how many such reads have followed one another.
  last_ms: u64,
  row: u32,
  /// The log, and when it was first seen like that.
  seen: Option<(LogState, u64)>,
  /// Whether there is a log.
  is_wal: Option<bool>,
}

/// A snapshot for one read. Dropped without one, its connection is closed.
pub(super) struct Snapshot {
  reader: Reader,
  _place: Place,
}

/// A place among the snapshots that may wait.
struct Place(Arc<AtomicUsize>);

impl Place {
  /// `None`: all are taken.
  fn take(waiting: &Arc<AtomicUsize>) -> Option<Self> {
    let one_more = |count| (count < SNAPSHOTS).then_some(count + 1);
    waiting
      .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
      .ok()?;
    Some(Self(waiting.clone()))
  }
}

impl Drop for Place {
  fn drop(&mut self) {
    self.0.fetch_sub(1, Ordering::Relaxed);
  }
}

/// A snapshot that is kept: a transaction is open.
struct Kept {
  /// From before it was taken: a commit since then has changed it.
  log: LogState,
  round: u64,
  reads: u32,
  /// Since somebody tidied.
  used: bool,
}

impl Readers {
  /// The connections have the cache and the map of `options`.
  ///
  /// # Errors
  /// The file can't be opened once more.
  pub(super) fn open(path: PathBuf, options: &SqliteOptions) -> rusqlite::Result<Self> {
    let (cache_size, mmap_size) = (options.cache_size, options.mmap_size);
    // The first read is usually one that nobody wants to wait for.
    let first = connect::reader(&path, cache_size, mmap_size)?;
    let state = State {
      idle: vec![Reader::new(first)],
      ..State::default()
    };
    Ok(Self {
      path,
      cache_size,
      mmap_size,
      state: Mutex::new(state),
      waiting: Arc::default(),
    })
  }

  pub(super) fn path(&self) -> &Path {
    &self.path
  }

  /// Reads in the calling thread, on a connection that nobody else is reading with. `keep` is called if
  /// `tidy` has to be called from now on.
  pub(super) fn read<T>(
    &self,
    now_ms: u64,
    keep: impl FnOnce(),
    read: impl FnOnce(&Connection) -> Result<T, ReadError>,
  ) -> Result<T, ReadError> {
    let (mut reader, round) = self.take()?;
    reader.prepare(now_ms, round)?;
    let found = match read(&reader.connection) {
      Ok(found) => found,
      Err(error) => {
        // The error that is told is the one there was first. A connection that can't be used is closed.
        if reader.let_go().is_ok() {
          let _ = self.put_back(reader);
        }
        return Err(error);
      }
    };
    if self.put_back(reader)? {
      keep();
    }
    Ok(found)
  }

  /// The same with a snapshot of its own: the read may take long, or wait.
  pub(super) fn read_alone<T>(
    &self,
    read: impl FnOnce(&Connection) -> Result<T, ReadError>,
  ) -> Result<T, ReadError> {
    let (mut reader, _) = self.take()?;
    reader.let_go()?;
    let result = read(&reader.connection);
    self.put_back(reader)?;
    result
  }

  /// A snapshot of the file as it is now, to be read later and on another thread. `None`: enough are waiting.
  pub(super) fn snapshot(&self) -> rusqlite::Result<Option<Snapshot>> {
    let Some(place) = Place::take(&self.waiting) else {
      return Ok(None);
    };
    let (mut reader, _) = self.take()?;
    reader.let_go()?;
    reader.connection.prepare_cached("BEGIN")?.execute([])?;
    // BEGIN alone takes none.
    let found = reader.connection.prepare_cached(TAKE_SNAPSHOT)?.exists([]);
    if let Err(error) = found {
      reader.end_snapshot()?;
      self.put_back(reader)?;
      return Err(error);
    }
    Ok(Some(Snapshot {
      reader,
      _place: place,
    }))
  }

  /// Reads from a snapshot, and gives it back.
  pub(super) fn read_from<T>(
    &self,
    snapshot: Snapshot,
    read: impl FnOnce(&Connection) -> Result<T, ReadError>,
  ) -> Result<T, ReadError> {
    let Snapshot { reader, _place } = snapshot;
    let result = read(&reader.connection);
    // A connection that can't be used any more is closed; the read has its own error.
    if reader.end_snapshot().is_ok() {
      let _ = self.put_back(reader);
    }
    result
  }

  fn take(&self) -> rusqlite::Result<(Reader, u64)> {
    let mut state = lock(&self.state);
    let (idle, round) = (state.idle.pop(), state.round);
    drop(state);
    let reader = match idle {
      Some(reader) => reader,
      None => Reader::new(connect::reader(
        &self.path,
        self.cache_size,
        self.mmap_size,
      )?),
    };
    Ok((reader, round))
  }

  /// Whether `tidy` has to be called from now on.
  fn put_back(&self, mut reader: Reader) -> rusqlite::Result<bool> {
    let mut state = lock(&self.state);
    if state.idle.len() >= IDLE {
      return Ok(false);
    }
    let kept = reader.kept.as_ref();
    // Under the lock: who gives all snapshots back does not see those that are being read.
    if kept.is_some_and(|kept| kept.round != state.round) {
      reader.let_go()?;
    }
    let starts = reader.kept.is_some() && !state.tidied;
    state.tidied |= starts;
    state.idle.push(reader);
    Ok(starts)
  }

  /// Gives all snapshots back: before a commit, so that the log can start over.
  pub(super) fn let_go(&self) {
    let mut state = lock(&self.state);
    state.round += 1;
    state.idle.retain_mut(|reader| reader.let_go().is_ok());
  }

  /// Gives back what was not used lately. False: there is nothing left to tidy.
  pub(super) fn tidy(&self) -> bool {
    let mut state = lock(&self.state);
    if !state.tidied {
      return false;
    }
    state.idle.retain_mut(|reader| match &mut reader.kept {
      Some(kept) if kept.used => {
        kept.used = false;
        true
      }
      _ => reader.let_go().is_ok(),
    });
    // One that is being read comes back, and asks again.
    state.tidied = state.idle.iter().any(|reader| reader.kept.is_some());
    state.tidied
  }

  /// Closes those that nobody is reading with.
  pub(super) fn close(&self) {
    lock(&self.state).idle.clear();
  }
}

impl Reader {
  fn new(connection: Connection) -> Self {
    Self {
      connection,
      kept: None,
      last_ms: 0,
      row: 0,
      seen: None,
      is_wal: None,
    }
  }

  /// Before a read: the snapshot that is kept is the newest, or none is.
  fn prepare(&mut self, now_ms: u64, round: u64) -> rusqlite::Result<()> {
    // The clock may have been set back: then it is as if much time had passed.
    let follows = now_ms.wrapping_sub(self.last_ms) <= PAUSE_MS;
    self.last_ms = now_ms;
    if let Some(kept) = &mut self.kept {
      let is_newest = LogState::now(&self.connection) == Some(kept.log);
      if is_newest && kept.reads > 0 {
        kept.reads -= 1;
        kept.used = true;
        return Ok(());
      }
      self.let_go()?;
      if is_newest {
        // After one read with a snapshot of its own the next is kept.
        self.row = ROW - 1;
      }
    }
    self.row = if follows {
      self.row.saturating_add(1)
    } else {
      1
    };
    if self.row > ROW
      && let Some(log) = self.log()
      && (log.all_moved() || self.is_calm(log, now_ms))
    {
      self.connection.prepare_cached("BEGIN")?.execute([])?;
      self.kept = Some(Kept {
        log,
        round,
        reads: READS,
        used: true,
      });
    }
    Ok(())
  }

  /// The log, once something has been read.
  fn log(&mut self) -> Option<LogState> {
    let is_wal = || log_state::is_wal(&self.connection);
    if *self.is_wal.get_or_insert_with(is_wal) {
      LogState::now(&self.connection)
    } else {
      None
    }
  }

  fn is_calm(&mut self, log: LogState, now_ms: u64) -> bool {
    match self.seen {
      Some((seen, since)) if seen == log => now_ms.wrapping_sub(since) >= CALM_MS,
      _ => {
        self.seen = Some((log, now_ms));
        false
      }
    }
  }

  /// Gives the snapshot back, if one is kept. The next reads do not keep theirs.
  fn let_go(&mut self) -> rusqlite::Result<()> {
    self.row = 0;
    if self.kept.take().is_some() {
      self.end_snapshot()?;
    }
    Ok(())
  }

  /// Ends the transaction. After some errors SQLite has ended it by itself.
  fn end_snapshot(&self) -> rusqlite::Result<()> {
    if !self.connection.is_autocommit() {
      self.connection.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok(())
  }
}

#[cfg(test)]
mod tests {
  use std::cell::Cell;

  use super::*;

  struct File {
    _folder: tempfile::TempDir,
    readers: Readers,
    /// As another process has it.
    other: Connection,
    asked_to_tidy: Cell<u32>,
  }

  impl File {
    fn new() -> Self {
      let folder = tempfile::TempDir::new().unwrap();
      let path = folder.path().join("kv");
      let other = connect::writer(&path, Duration::ZERO).unwrap().connection;
      let file = Self {
        _folder: folder,
        readers: Readers::open(path, &SqliteOptions::default()).unwrap(),
        other,
        asked_to_tidy: Cell::new(0),
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
      let ask = || self.asked_to_tidy.set(self.asked_to_tidy.get() + 1);
      let sql = "SELECT version FROM data_version";
      let version = self.readers.read(now_ms, ask, |connection| {
        Ok(connection.query_row(sql, [], |row| row.get(0))?)
      });
      let keeps = |state: &State| state.idle.iter().any(|reader| reader.kept.is_some());
      (version.unwrap(), keeps(&lock(&self.readers.state)))
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
  fn a_snapshot_is_kept_while_reads_follow_one_another_and_it_is_the_newest() {
    let file = File::new();
    for _ in 0..ROW {
      assert_eq!(file.read(0), (0, false));
    }
    assert_eq!(file.read(0), (0, true));
    assert_eq!(file.read(1), (0, true));
    file.count();
    assert_eq!(file.read(1), (1, false));
    assert_eq!(file.asked_to_tidy.get(), 1);
  }

  #[test]
  fn while_the_log_is_written_to_none_is_kept() {
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
    assert_eq!(file.keeps(now_ms), (READS - ROW + 1) as usize);
    file.count();
    let pages: i64 = file.other.query_row(sql, [], |row| row.get(1)).unwrap();
    assert_eq!(pages, 1);
  }

  #[test]
  fn reads_with_pauses_between_them_keep_nothing() {
    let file = File::new();
    for lone in 0..100 {
      assert_eq!(file.read(2 * lone), (0, false));
    }
    // The clock is set back.
    assert_eq!(file.read(0), (0, false));
    assert_eq!(file.keeps(0), (READS - ROW + 1) as usize);
  }

  #[test]
  fn a_snapshot_is_given_back_after_some_reads() {
    let file = File::new();
    let kept = (0..500).filter(|_| file.read(0).1).count();
    assert!((450..490).contains(&kept), "{kept}");
  }

  #[test]
  fn a_snapshot_nobody_uses_is_given_back() {
    let file = File::new();
    file.keep();
    assert!(file.readers.tidy());
    assert!(!file.log_is_free());
    assert!(!file.readers.tidy());
    assert!(file.log_is_free());
    // And it is asked for again.
    file.keep();
    assert_eq!(file.asked_to_tidy.get(), 2);
  }

  #[test]
  fn a_commit_of_this_process_finds_none_also_of_those_that_are_being_read() {
    let file = File::new();
    file.keep();
    file.readers.let_go();
    assert!(file.log_is_free());
    file.keep();
    let result = file.readers.read(
      CALM_MS,
      || (),
      |connection| {
        file.readers.let_go();
        assert!(!connection.is_autocommit());
        Ok(())
      },
    );
    result.unwrap();
    assert!(file.log_is_free());
  }

  #[test]
  fn a_read_that_fails_keeps_nothing() {
    let file = File::new();
    file.keep();
    let result = file
      .readers
      .read(0, || (), |_| -> Result<(), _> { Err(ReadError::TooLong) });
    assert!(result.is_err());
    assert!(file.log_is_free());
  }

  #[test]
  fn an_error_for_which_sqlite_gives_the_snapshot_back_is_told_as_it_is() {
    let file = File::new();
    file.keep();
    let result = file.readers.read(
      CALM_MS,
      || (),
      |connection| -> Result<(), _> {
        connection.execute_batch("ROLLBACK")?;
        Err(ReadError::TooLong)
      },
    );
    assert!(matches!(result, Err(ReadError::TooLong)));
    assert_eq!(file.read(CALM_MS).0, 1);
  }

  #[test]
  fn a_snapshot_whose_read_never_comes_leaves_its_place() {
    let file = File::new();
    let waiting: Vec<_> = (0..SNAPSHOTS)
      .map(|_| file.readers.snapshot().unwrap().unwrap())
      .collect();
    assert!(file.readers.snapshot().unwrap().is_none());
    drop(waiting);
    assert!(file.log_is_free());
    for _ in 0..2 * SNAPSHOTS {
      let snapshot = file.readers.snapshot().unwrap().unwrap();
      file.readers.read_from(snapshot, |_| Ok(())).unwrap();
    }
  }

  #[test]
  fn a_long_read_has_a_snapshot_of_its_own() {
    let file = File::new();
    file.keep();
    let result = file.readers.read_alone(|connection| {
      assert!(connection.is_autocommit());
      Ok(())
    });
    result.unwrap();
  }

  #[test]
  fn the_cache_and_the_map_are_as_large_as_asked_for() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let _writer = connect::writer(&path, Duration::ZERO).unwrap().connection;
    let pragmas = |options: &SqliteOptions| {
      let readers = Readers::open(path.clone(), options).unwrap();
      let found = readers.read_alone(|connection| {
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
}
