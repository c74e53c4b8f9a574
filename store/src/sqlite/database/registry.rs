//! The database files that are open in this process, so that all handles on one share its writer.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use super::Database;
use crate::engine::{ErrorKind, StoreError};
use crate::sqlite::file::identity::FileId;
use crate::sqlite::file::path::{must_have_one_name, opens_quickly, resolve};
use crate::sqlite::mutex::lock;
use crate::sqlite::options::SqliteOptions;

/// One file's place: locked while the file is being opened, so that others wait for it.
type Slot = Arc<Mutex<Weak<Database>>>;

static OPEN: LazyLock<Mutex<HashMap<PathBuf, Slot>>> = LazyLock::new(Mutex::default);

pub(crate) fn open(path: &Path, options: &SqliteOptions) -> Result<Arc<Database>, StoreError> {
  let path = resolve(path)?;
  let slot = slot(&path);
  open_in(&mut lock(&slot), path, options, options.busy_timeout)
}

/// The same for a caller that can't wait. `None`: it may have to.
pub(crate) fn open_at_once(
  path: &Path,
  options: &SqliteOptions,
) -> Option<Result<Arc<Database>, StoreError>> {
  let path = match resolve(path) {
    Ok(path) => path,
    Err(error) => return Some(Err(error)),
  };
  let slot = slot(&path);
  // Locked: somebody is opening the file.
  let mut shared = slot.try_lock().ok()?;
  if shared.strong_count() == 0 && !opens_quickly(&path) {
    return None;
  }
  match open_in(&mut shared, path, options, Duration::ZERO) {
    Err(error) if error.kind() == ErrorKind::Locked => None,
    result => Some(result),
  }
}

fn slot(path: &Path) -> Slot {
  let mut open = lock(&OPEN);
  // Forgets files that were closed. One that is being opened is in use.
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
    && database.file_id == FileId::of(&path)
  {
    return Ok(database);
  }
  must_have_one_name(&path)?;
  let database = Arc::new(Database::open(path, options, patience)?);
  *shared = Arc::downgrade(&database);
  Ok(database)
}

/// Commits what waits, and closes all databases, whoever still has them: the process is about to end.
pub(crate) fn close_all() {
  let open: Vec<_> = {
    // One that is being opened has its slot locked.
    let open = lock(&OPEN);
    let slots = open.values().filter_map(|slot| slot.try_lock().ok());
    slots.filter_map(|slot| slot.upgrade()).collect()
  };
  for database in open {
    database.close();
  }
}
