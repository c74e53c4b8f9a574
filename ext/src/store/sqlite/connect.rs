//! How a connection to a file is made, and what can be wrong with the file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{mapped, schema};
use crate::store::StoreError;

/// The connection that writes, and whether the file may be written at all.
pub(super) struct WriteConnection {
  pub(super) connection: Connection,
  pub(super) read_only: bool,
}

/// Opens the file for writing, creates it if need be, and brings its tables up to date.
pub(super) fn writer(path: &Path, busy_timeout: Duration) -> Result<WriteConnection, StoreError> {
  let failed = |error| cannot_open(path, busy_timeout, error);
  let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
  let mut connection = open(path, flags, busy_timeout).map_err(failed)?;
  let deadline = Instant::now() + busy_timeout;
  // Also the first look into the file: one that is no database is refused here.
  let found = retry(deadline, || schema::version(&connection)).map_err(failed)?;
  if found > schema::NEWEST {
    return Err(StoreError::NewerFormat {
      path: path.to_path_buf(),
      found,
      known: schema::NEWEST,
    });
  }
  let read_only = connection.is_readonly("main").map_err(failed)?;
  if read_only {
    if found < schema::NEWEST {
      return Err(StoreError::CannotOpen {
        path: path.to_path_buf(),
        reason: format!(
          "it is read-only, and its tables are of version {found}, which need an update"
        ),
      });
    }
  } else {
    retry(deadline, || {
      connection.pragma_update(None, "journal_mode", "wal")?;
      // A commit is on disk before it is answered.
      connection.pragma_update(None, "synchronous", "full")
    })
    .map_err(failed)?;
    retry(deadline, || schema::migrate(&mut connection)).map_err(failed)?;
  }
  connection.set_prepared_statement_cache_capacity(STATEMENTS);
  Ok(WriteConnection {
    connection,
    read_only,
  })
}

/// Whether opening the file takes less than a millisecond, as far as one can see from outside: it has
/// been made, and no log of a crash has to be put in order.
pub(super) fn opens_quickly(path: &Path) -> bool {
  let bytes = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
  bytes(path) > 0 && bytes(&log_path(path)) == 0
}

/// Where SQLite keeps the log of a file.
pub(super) fn log_path(path: &Path) -> PathBuf {
  let mut log = path.as_os_str().to_owned();
  log.push("-wal");
  log.into()
}

/// Opens one more connection to a file that the writer has opened. It waits for no lock. So many bytes of
/// the file are mapped.
pub(super) fn reader(path: &Path, mmap_size: u64) -> rusqlite::Result<Connection> {
  // Reading in WAL mode writes to the shared-memory file beside the database.
  let access = OpenFlags::SQLITE_OPEN_READ_WRITE;
  let connection = open_mapped(path, access, Duration::ZERO, mmap_size)?;
  connection.pragma_update(None, "query_only", true)?;
  connection.set_prepared_statement_cache_capacity(STATEMENTS);
  Ok(connection)
}

/// Opens the connection that makes checkpoints. It waits for no lock: another time will do.
pub(super) fn checkpointer(path: &Path) -> rusqlite::Result<Connection> {
  let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, Duration::ZERO)?;
  // The log reaches the disk before pages of it are moved, whatever commits wait for.
  connection.pragma_update(None, "synchronous", "full")?;
  Ok(connection)
}

/// In bytes: enough for the inner pages of a file of some ten million keys. It is taken as pages are
/// read, so that a small database takes little.
pub(super) const PAGE_CACHE: u32 = 16 << 20;

/// More than there are different statements in this module.
const STATEMENTS: usize = 32;

fn open(path: &Path, access: OpenFlags, busy_timeout: Duration) -> rusqlite::Result<Connection> {
  open_mapped(path, access, busy_timeout, 0)
}

fn open_mapped(
  path: &Path,
  access: OpenFlags,
  busy_timeout: Duration,
  mmap_size: u64,
) -> rusqlite::Result<Connection> {
  // NO_MUTEX: a connection is used by one thread at a time, which Rust checks.
  let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
  let connection = mapped::open(path, flags, mmap_size)?;
  connection.busy_timeout(busy_timeout)?;
  // Negative: KiB, and not pages.
  connection.pragma_update(None, "cache_size", -i64::from(PAGE_CACHE >> 10))?;
  Ok(connection)
}

/// SQLite doesn't wait for every lock itself: not for the one that changes the journal mode, and
/// not where two connections recover a WAL at once.
fn retry<T>(
  deadline: Instant,
  mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
  loop {
    match attempt() {
      Err(error)
        if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
          && Instant::now() < deadline =>
      {
        std::thread::sleep(Duration::from_millis(5));
      }
      result => return result,
    }
  }
}

fn cannot_open(path: &Path, busy_timeout: Duration, error: rusqlite::Error) -> StoreError {
  // A read-only file can be opened, but only where SQLite can keep its log beside it.
  if matches!(
    error.sqlite_error_code(),
    Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
  ) {
    let reason = if path.is_dir() {
      "it is a folder".to_owned()
    } else {
      match fs::OpenOptions::new().read(true).open(path) {
        Ok(_) => "the folder it is in can't be written, and SQLite keeps its log there".to_owned(),
        Err(error) => error.to_string(),
      }
    };
    return StoreError::CannotOpen {
      path: path.to_path_buf(),
      reason,
    };
  }
  StoreError::from_sqlite(path, busy_timeout.as_millis() as u64, error)
}

/// The absolute path of a database file, by one name for all the ways to write it.
///
/// # Errors
/// The folder does not exist, or the path leads through a symbolic link: a link could be changed
/// to point elsewhere after whoever allowed the path has looked at it.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
  let cannot_open = |reason: String| StoreError::CannotOpen {
    path: path.to_path_buf(),
    reason,
  };
  let absolute = std::path::absolute(path).map_err(|error| cannot_open(error.to_string()))?;
  let absolute = without_system_links(absolute);
  for part in absolute.ancestors() {
    if fs::symlink_metadata(part).is_ok_and(|metadata| metadata.is_symlink()) {
      let reason = format!(
        "{} is a symbolic link; give the path it points to",
        part.display()
      );
      return Err(cannot_open(reason));
    }
  }
  let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
    return Err(cannot_open("it is a folder".into()));
  };
  match fs::canonicalize(folder) {
    Ok(folder) => Ok(folder.join(name)),
    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(cannot_open(format!(
      "the folder {} does not exist",
      folder.display()
    ))),
    Err(error) => Err(cannot_open(format!("{}: {error}", folder.display()))),
  }
}

/// macOS reaches its temporary folders through links of its own, which no user can change.
fn without_system_links(path: PathBuf) -> PathBuf {
  if cfg!(target_os = "macos") {
    for link in ["/var", "/tmp"] {
      if let (Ok(rest), Ok(target)) = (path.strip_prefix(link), fs::canonicalize(link)) {
        return target.join(rest);
      }
    }
  }
  path
}
