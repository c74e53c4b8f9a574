//! Which files are open in this process, so that all who open one share its writer.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::database::Database;
use super::file_id::FileId;
use super::{SqliteOptions, connect};
use crate::engine::StoreError;

/// One file's place: locked while the file is being opened, so that others wait for it.
type Slot = Arc<Mutex<Weak<Database>>>;

static OPEN: LazyLock<Mutex<HashMap<PathBuf, Slot>>> = LazyLock::new(Mutex::default);

pub(super) fn open(path: &Path, options: &SqliteOptions) -> Result<Arc<Database>, StoreError> {
  let path = connect::resolve(path)?;
  let slot = slot(&path);
  open_in(&mut lock(&slot), path, options, options.busy_timeout)
}

/// The same for a caller that can't wait. `None`: it may have to.
pub(super) fn open_at_once(
  path: &Path,
  options: &SqliteOptions,
) -> Option<Result<Arc<Database>, StoreError>> {
  let path = match connect::resolve(path) {
    Ok(path) => path,
    Err(error) => return Some(Err(error)),
  };
  let slot = slot(&path);
  // Locked: somebody is opening the file.
  let mut shared = slot.try_lock().ok()?;
  if shared.strong_count() == 0 && !connect::opens_quickly(&path) {
    return None;
  }
  match open_in(&mut shared, path, options, Duration::ZERO) {
    Err(StoreError::Locked { .. }) => None,
    result => Some(result),
  }
}

fn slot(path: &Path) -> Slot {
  let mut open = lock(&OPEN);
  // What is left of files that were closed. One that is being opened is in use.
  open.retain(|_, slot| {
    Arc::strong_count(slot) > 1
      || slot
        .try_lock()
        .is_ok_and(|shared| shared.strong_count() > 0)
  });
  open.entry(path.to_owned()).or_default().clone()
}

fn open_in(
  shared: &mut Weak<Database>,
  path: PathBuf,
  options: &SqliteOptions,
  patience: Duration,
) -> Result<Arc<Database>, StoreError> {
  if let Some(database) = shared.upgrade()
    && database.file_id() == FileId::of(&path)
  {
    return Ok(database);
  }
  connect::must_have_one_name(&path)?;
  let database = Arc::new(Database::open(path, options, patience)?);
  *shared = Arc::downgrade(&database);
  Ok(database)
}

/// The databases that are open in this process.
fn all_open() -> Vec<Arc<Database>> {
  // One that is being opened has its slot locked.
  let open = lock(&OPEN);
  let slots = open.values().filter_map(|slot| slot.try_lock().ok());
  slots.filter_map(|slot| slot.upgrade()).collect()
}

/// Whether a file is open as a database, or is the log of one, or the index of its log.
pub(super) fn is_open(path: &Path) -> bool {
  let file = FileId::of(path);
  file != FileId::NONE
    && all_open()
      .iter()
      .any(|database| database.files().contains(&file))
}

/// Commits what waits, and closes all databases, whoever still has them: the process is about to end.
pub(super) fn close_all() {
  for database in all_open() {
    database.close();
  }
}

/// Locks a mutex whose data is whole even if a thread has panicked while it held the lock.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
  mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
