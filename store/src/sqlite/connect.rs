//! How a connection to a file is made, and what can be wrong with the file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf, is_separator};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::Look;
use super::{file_id, limit, registry, schema};
use crate::engine::StoreError;

/// The connection that writes, and whether the file may be written at all.
pub(super) struct WriteConnection {
  pub(super) connection: Connection,
  pub(super) read_only: bool,
}

/// Opens the file for writing, creates it if need be, and brings its tables up to date.
pub(super) fn writer(path: &Path, busy_timeout: Duration) -> Result<WriteConnection, StoreError> {
  let failed = |error| cannot_open(path, busy_timeout, error);
  let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
  let mut connection = open(path, flags, busy_timeout, PAGE_CACHE).map_err(failed)?;
  let deadline = Instant::now() + busy_timeout;
  // Also the first look into the file: one that is no database is refused here.
  let (look, found) = retry(deadline, || {
    let snapshot = connection.unchecked_transaction()?;
    let seen = (schema::look(&snapshot)?, schema::version(&snapshot)?);
    snapshot.commit()?;
    Ok(seen)
  })
  .map_err(failed)?;
  if let Look::Foreign(reason) = look {
    let path = path.to_path_buf();
    return Err(StoreError::CannotOpen { path, reason });
  }
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
      connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT)?;
      // A commit is on disk before it is answered.
      connection.pragma_update(None, "synchronous", "full")
    })
    .map_err(failed)?;
    retry(deadline, || schema::migrate(&mut connection)).map_err(failed)?;
  }
  if look != Look::Known {
    let missing = retry(deadline, || schema::missing(&connection)).map_err(failed)?;
    if let Some(reason) = missing {
      let path = path.to_path_buf();
      return Err(StoreError::CannotOpen { path, reason });
    }
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
  beside(path, "-wal")
}

/// Where it keeps the index of the log.
pub(super) fn log_index_path(path: &Path) -> PathBuf {
  beside(path, "-shm")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
  let mut name = path.as_os_str().to_owned();
  name.push(suffix);
  name.into()
}

/// Opens one more connection to a file that the writer has opened. It waits for no lock. It caches and maps at
/// most so many bytes of the file.
pub(super) fn reader(path: &Path, cache_size: u64, mmap_size: u64) -> rusqlite::Result<Connection> {
  // Reading in WAL mode writes to the shared-memory file beside the database.
  let access = OpenFlags::SQLITE_OPEN_READ_WRITE;
  let connection = open(path, access, Duration::ZERO, cache_size)?;
  if mmap_size > 0 {
    let bytes = i64::try_from(mmap_size).unwrap_or(i64::MAX);
    connection.pragma_update(None, "mmap_size", bytes)?;
  }
  connection.pragma_update(None, "query_only", true)?;
  limit::watch(&connection)?;
  connection.set_prepared_statement_cache_capacity(STATEMENTS);
  Ok(connection)
}

/// Opens the connection that makes checkpoints. It waits for no lock: another time will do.
pub(super) fn checkpointer(path: &Path) -> rusqlite::Result<Connection> {
  let access = OpenFlags::SQLITE_OPEN_READ_WRITE;
  let connection = open(path, access, Duration::ZERO, PAGE_CACHE)?;
  // The log reaches the disk before pages of it are moved, whatever commits wait for.
  connection.pragma_update(None, "synchronous", "full")?;
  Ok(connection)
}

/// In bytes: enough for the inner pages of a file of some ten million keys. It is taken as pages are
/// read, so that a small database takes little.
pub(super) const PAGE_CACHE: u64 = 16 << 20;

/// In bytes. A log that somebody's long read has kept from starting over is cut to this when it does.
const LOG_SIZE_LIMIT: u32 = 32 << 20;

/// More than there are different statements in this module.
const STATEMENTS: usize = 32;

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
pub(super) fn set_cache_size(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
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

/// Whether another connection has a lock that is needed.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
  error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
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

fn cannot_open(path: &Path, busy_timeout: Duration, error: rusqlite::Error) -> StoreError {
  // A read-only file can be opened, but only where SQLite can keep its log beside it.
  if matches!(
    error.sqlite_error_code(),
    Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
  ) {
    let reason = why_not(path);
    return StoreError::CannotOpen {
      path: path.to_path_buf(),
      reason,
    };
  }
  StoreError::from_sqlite(path, busy_timeout.as_millis() as u64, error)
}

/// What keeps SQLite, which does not say, from opening a file.
fn why_not(path: &Path) -> String {
  let bytes = path.as_os_str().len();
  if bytes > MAX_PATH_BYTES {
    return format!("its path has {bytes} bytes, and SQLite takes {MAX_PATH_BYTES}");
  }
  if path.is_dir() {
    return IS_A_FOLDER.into();
  }
  // Closing a descriptor of a file that is open as a database drops the locks that this process has on it.
  if !registry::is_open(path)
    && let Err(error) = fs::File::open(path)
  {
    let is_in_a_folder = path.parent().is_some_and(Path::is_dir);
    return if error.kind() == ErrorKind::NotFound && is_in_a_folder {
      "it does not exist, and no file can be made in its folder".into()
    } else {
      error.to_string()
    };
  }
  "the folder it is in can't be written, and SQLite keeps its log there. To read it from a medium that can't be \
   written, take it out of WAL mode first: PRAGMA journal_mode = DELETE"
    .into()
}

/// SQLite's limit, less what it appends to make the name of the log.
const MAX_PATH_BYTES: usize = 504;

const IS_A_FOLDER: &str = "it is a folder";

/// Whether a file has one name only. SQLite derives the name of the log from that of the file: under two names it
/// has two logs, and whoever opens it by one does not see what is in the other.
///
/// # Errors
/// It has several.
pub(super) fn must_have_one_name(path: &Path) -> Result<(), StoreError> {
  let refuse = |reason: String| {
    let path = path.to_path_buf();
    Err(StoreError::CannotOpen { path, reason })
  };
  #[cfg(unix)]
  {
    use std::os::unix::fs::MetadataExt;
    if let Ok(metadata) = fs::metadata(path)
      && metadata.is_file()
      && metadata.nlink() > 1
    {
      let names = metadata.nlink();
      return refuse(format!(
        "it has {names} names (hard links), each of which would have a log of its own: remove the others, or open \
         a copy"
      ));
    }
  }
  if file_id::is_mount_point(path) {
    return refuse(
      "it is mounted by itself, and its log would be outside the mount: mount the folder it is in"
        .into(),
    );
  }
  Ok(())
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
  // A path that ends so names no file, and the separator is lost on the way.
  if path
    .as_os_str()
    .as_encoded_bytes()
    .last()
    .is_some_and(|&byte| is_separator(byte.into()))
  {
    return Err(cannot_open(IS_A_FOLDER.into()));
  }
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
    return Err(cannot_open(IS_A_FOLDER.into()));
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

#[cfg(test)]
mod tests {
  use super::*;

  #[cfg(unix)]
  #[test]
  fn a_file_of_two_names_is_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    fs::write(&path, "").unwrap();
    must_have_one_name(&path).unwrap();
    fs::hard_link(&path, folder.path().join("other")).unwrap();
    let error = must_have_one_name(&path).unwrap_err().to_string();
    assert!(error.contains("hard links"), "{error}");
  }
}
