//! Opens connections to a file, each set up for its purpose.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::path::why_not;
use super::schema::{self, Look};
use crate::engine::StoreError;
use crate::sqlite::error::{cannot_open, is_busy, newer_format, store_error};
use crate::sqlite::interrupt;
use crate::sqlite::options::{PAGE_CACHE, SqliteOptions};

/// The connection that writes.
pub(crate) struct Opened {
  pub(crate) connection: Connection,
  /// The file may only be read.
  pub(crate) read_only: bool,
}

/// Opens the file for writing, creates it if need be, and brings its tables up to date. Waits for other processes no
/// longer than `busy_timeout`.
pub(crate) fn writer(
  path: &Path,
  options: &SqliteOptions,
  busy_timeout: Duration,
) -> Result<Opened, StoreError> {
  let failed = |error| why(path, busy_timeout, error);
  let flags = match options.read_only {
    true => OpenFlags::SQLITE_OPEN_READ_ONLY,
    false => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
  };
  let mut connection = open(path, flags, busy_timeout, options.cache_size).map_err(failed)?;
  let deadline = Instant::now() + busy_timeout;
  // Also the first look into the file: one that is no database is refused here.
  let (look, found) = retry(deadline, || {
    let snapshot = connection.unchecked_transaction()?;
    let seen = schema::look(&snapshot)?;
    snapshot.commit()?;
    Ok(seen)
  })
  .map_err(failed)?;
  if let Look::Foreign(reason) = look {
    return Err(cannot_open(path, reason));
  }
  if found > schema::NEWEST {
    return Err(newer_format(path, found, schema::NEWEST));
  }
  let read_only = connection.is_readonly("main").map_err(failed)?;
  if read_only {
    if found < schema::NEWEST {
      return Err(cannot_open(
        path,
        format!("it is read-only, and its tables are of version {found}, which need an update"),
      ));
    }
  } else {
    retry(deadline, || {
      connection.pragma_update(None, "journal_mode", "wal")?;
      connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT)?;
      // A commit is on disk before it is answered.
      connection.pragma_update(None, "synchronous", "full")
    })
    .map_err(failed)?;
    if found < schema::NEWEST {
      retry(deadline, || schema::migrate(&mut connection)).map_err(failed)?;
    }
  }
  if look != Look::Known {
    let missing = retry(deadline, || schema::missing(&connection)).map_err(failed)?;
    if let Some(reason) = missing {
      return Err(cannot_open(path, reason));
    }
  }
  connection.set_prepared_statement_cache_capacity(STATEMENTS);
  Ok(Opened {
    connection,
    read_only,
  })
}

/// Opens one more connection to a file that the writer has opened. It waits for no lock.
pub(crate) fn reader(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
  // Reading in WAL mode writes to the shared-memory file beside the database.
  let access = OpenFlags::SQLITE_OPEN_READ_WRITE;
  let connection = open(path, access, Duration::ZERO, options.cache_size)?;
  if options.mmap_size > 0 {
    let bytes = i64::try_from(options.mmap_size).unwrap_or(i64::MAX);
    connection.pragma_update(None, "mmap_size", bytes)?;
  }
  connection.pragma_update(None, "query_only", true)?;
  interrupt::allow(&connection)?;
  connection.set_prepared_statement_cache_capacity(STATEMENTS);
  Ok(connection)
}

/// Opens the connection that makes checkpoints. It waits for no lock: another time will do.
pub(crate) fn checkpointer(path: &Path) -> rusqlite::Result<Connection> {
  let access = OpenFlags::SQLITE_OPEN_READ_WRITE;
  let connection = open(path, access, Duration::ZERO, PAGE_CACHE)?;
  // The log reaches the disk before its pages are moved, whatever commits wait for.
  connection.pragma_update(None, "synchronous", "full")?;
  Ok(connection)
}

/// In bytes. A log that a long read has kept from starting over is cut to this when it does.
const LOG_SIZE_LIMIT: u32 = 32 << 20;

/// More than there are different statements in this engine.
const STATEMENTS: usize = 48;

fn open(
  path: &Path,
  access: OpenFlags,
  busy_timeout: Duration,
  cache_size: u64,
) -> rusqlite::Result<Connection> {
  // NO_MUTEX: a connection is used by one thread at a time, which Rust checks.
  let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
  let connection = Connection::open_with_flags(path, flags)?;
  connection.busy_timeout(busy_timeout)?;
  distrust_file(&connection)?;
  set_cache_size(&connection, cache_size)?;
  Ok(connection)
}

/// Sets how many bytes of the file a connection caches at most.
fn set_cache_size(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
  // SQLite reads a larger number as none.
  let kib = i32::try_from(bytes >> 10).unwrap_or(i32::MAX);
  // Negative: KiB, and not pages.
  connection.pragma_update(None, "cache_size", -kib)
}

/// What SQLite's page on defence against the dark arts asks for, of files that others may have made: nothing in
/// the schema runs. (https://www.sqlite.org/security.html)
fn distrust_file(connection: &Connection) -> rusqlite::Result<()> {
  use rusqlite::config::DbConfig;
  for (config, on) in [
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
  ] {
    connection.set_db_config(config, on)?;
  }
  connection.pragma_update(None, "cell_size_check", true)
}

/// SQLite doesn't wait for every lock itself: not for the one that changes the journal mode, and
/// not where two connections recover a WAL at once.
fn retry<T>(
  deadline: Instant,
  mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
  loop {
    match attempt() {
      Err(error) if is_busy(&error) && Instant::now() < deadline => {
        std::thread::sleep(Duration::from_millis(5));
      }
      result => return result,
    }
  }
}

/// Why a connection could not be opened.
fn why(path: &Path, busy_timeout: Duration, error: rusqlite::Error) -> StoreError {
  // A read-only file can be opened, but only where SQLite can keep its log beside it.
  if matches!(
    error.sqlite_error_code(),
    Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
  ) {
    return cannot_open(path, why_not(path));
  }
  store_error(path, busy_timeout, error)
}
