use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use deno_core::error::ResourceError;
use deno_core::url::Url;
use deno_core::{OpState, op2, v8};
use kv_store::engine::{Backend, ErrorKind, StoreError};
use kv_store::sqlite;
use kv_store::{KvError, Location, Store};

use super::handle::{Handle, HandleObject, OpenHandles, WEIGHT_IN_MEMORY, WEIGHT_OF_FILE};
use super::object::object;
use crate::error::OpError;
use crate::options::KvOptions;

/// The same path from the root, without `.` and `..`.
fn normalize(path: &Path) -> std::io::Result<PathBuf> {
  let mut normal = PathBuf::new();
  for part in std::path::absolute(path)?.components() {
    match part {
      Component::CurDir => {}
      Component::ParentDir => {
        // What is above the folder that a link leads to is not what is above the link.
        if normal.is_symlink() {
          return Err(std::io::Error::other(format!(
            "{} is a symbolic link; give the path it points to",
            normal.display()
          )));
        }
        normal.pop();
      }
      part => normal.push(part),
    }
  }
  Ok(normal)
}

/// Asks the embedder.
fn allow(options: &KvOptions, location: Location) -> Result<Location, OpError> {
  let Some(hook) = &options.open_hook else {
    return Ok(location);
  };
  let location = match location {
    Location::File(path) => {
      let failed = |error: std::io::Error| {
        let path = path.display();
        let message = format!("unable to open database file: {path}: {error}");
        KvError::Open(StoreError::new(ErrorKind::CannotOpen, message))
      };
      Location::File(normalize(&path).map_err(failed)?)
    }
    other => other,
  };
  hook(&location).map_err(OpError::Denied)
}

/// Makes a folder and those above it that are missing. After a power failure a new one is there only if the
/// folder it is in was synced.
fn create_folders(
  folder: &Path,
  mut sync: impl FnMut(&Path) -> std::io::Result<()>,
) -> std::io::Result<()> {
  let missing: Vec<&Path> = folder
    .ancestors()
    .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
    .collect();
  std::fs::create_dir_all(folder)?;
  for created in missing.iter().rev() {
    if let Some(parent) = created.parent() {
      sync(parent)?;
    }
  }
  Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
  std::fs::File::open(folder)?.sync_all()
}

/// Only Unix lets a program sync a folder.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
  Ok(())
}

/// Makes the folder of the default database, if it is missing. Returns the path without symbolic links: the
/// script has not named it, and a home may be reached through one.
fn make_default_folder(path: &Path, label: Option<&str>) -> Result<PathBuf, OpError> {
  let folder = path.parent().unwrap_or(Path::new(""));
  let failed = |source| OpError::DefaultFolder {
    path: folder.display().to_string(),
    source,
  };
  create_folders(folder, sync_folder).map_err(failed)?;
  if let Some(label) = label {
    let file = folder.join("script.txt");
    if !file.exists() {
      std::fs::write(file, format!("{label}\n")).map_err(failed)?;
    }
  }
  let folder = folder.canonicalize().map_err(failed)?;
  Ok(match path.file_name() {
    Some(name) => folder.join(name),
    None => path.to_path_buf(),
  })
}

/// Opens a database; returns a ticket for its handle. A file that may take its time is opened on a thread
/// of its own.
#[op2]
#[smi]
pub async fn op_kv_open(
  state: Rc<RefCell<OpState>>,
  #[string] path: Option<String>,
) -> Result<u32, OpError> {
  let options = state.borrow().borrow::<KvOptions>().clone();
  let (store, weight) = match (&path, &options.default_store) {
    (None, Some(store)) => (store.clone(), WEIGHT_OF_FILE),
    _ => {
      let (backend, weight) = open(path, &options).await?;
      (Store::on(backend), weight)
    }
  };
  let backend = store.backend().clone();
  let state = state.borrow();
  let open = state.borrow::<OpenHandles>();
  Ok(open.park(Handle::new(backend, weight, options, open)))
}

/// The object of a handle that was opened. The garbage collector is told what it weighs.
#[op2]
pub fn op_kv_opened<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  state: Rc<RefCell<OpState>>,
  #[smi] ticket: u32,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let opened = state.borrow().borrow::<OpenHandles>().take(ticket);
  let handle = opened.ok_or(OpError::Closed(ResourceError::BadResourceId))?;
  let change = handle.weigh();
  scope.adjust_amount_of_external_allocated_memory(change);
  object(scope, &state, HandleObject(handle))
}

/// What a name means. Schemes that the embedder has an engine for are URLs; elsewhere such a name is a path.
fn locate(name: &str, options: &KvOptions) -> Result<Location, OpError> {
  if let Some((scheme, _)) = name.split_once(':')
    && options.openers.contains_key(&scheme.to_ascii_lowercase())
  {
    let invalid = |error| KvError::InvalidUrl(name.into(), error);
    return Ok(Location::Url(name.parse().map_err(invalid)?));
  }
  Ok(Location::parse(name)?)
}

/// Also returns what the database weighs.
async fn open(
  path: Option<String>,
  options: &KvOptions,
) -> Result<(Arc<dyn Backend>, i64), OpError> {
  let name = path.or_else(|| options.default_name.clone());
  let is_default = name.is_none();
  let asked = match name {
    Some(name) => locate(&[&options.name_prefix, name.as_str()].concat(), options)?,
    None => Location::File(options.default_path.clone().ok_or(OpError::NoDefaultPath)?),
  };
  let location = allow(options, asked)?;
  let sqlite = options.sqlite();
  let (opened, weight) = match location {
    Location::Memory => (sqlite::open_memory(&sqlite), WEIGHT_IN_MEMORY),
    Location::File(path) => {
      let path = match is_default {
        true => make_default_folder(&path, options.default_label.as_deref())?,
        false => path,
      };
      let opened = match sqlite::open_file_at_once(&path, &sqlite) {
        Some(result) => result,
        None => sqlite::open_file_on_thread(path, sqlite).await,
      };
      (opened, WEIGHT_OF_FILE)
    }
    Location::Url(url) => {
      let opened = match options.openers.get(url.scheme()) {
        Some(opener) => opener(url).await,
        None => open_remote(url, options).await?,
      };
      (opened, WEIGHT_OF_FILE)
    }
    // The hook has put a location in its place that only a newer store knows.
    other => {
      let message = format!("unable to open {other:?}: no engine of this program opens it");
      let error = StoreError::new(ErrorKind::Unsupported, message);
      return Err(KvError::Open(error).into());
    }
  };
  let backend = opened.map_err(KvError::Open)?;
  Ok((backend, weight))
}

#[cfg(feature = "remote-transport")]
async fn open_remote(
  url: Url,
  options: &KvOptions,
) -> Result<Result<Arc<dyn Backend>, StoreError>, OpError> {
  Ok(kv_connect::client::open(url, options.remote.clone()).await)
}

#[cfg(not(feature = "remote-transport"))]
async fn open_remote(
  url: Url,
  _options: &KvOptions,
) -> Result<Result<Arc<dyn Backend>, StoreError>, OpError> {
  Err(KvError::Remote(url.into()).into())
}

/// Closes a handle; false if it was closed before.
#[op2(fast)]
pub fn op_kv_close(#[cppgc] handle: &HandleObject) -> bool {
  handle.0.close()
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn a_path_has_one_form() {
    for path in ["/a/b", "/a/./b", "/a/x/../b", "/../a//b/"] {
      assert_eq!(
        normalize(Path::new(path)).unwrap(),
        Path::new("/a/b"),
        "{path}"
      );
    }
    assert!(normalize(Path::new("b")).unwrap().is_absolute());
  }

  #[test]
  fn what_new_folders_are_in_is_synced() {
    let folder = tempfile::TempDir::new().unwrap();
    let (first, second) = (folder.path().join("a"), folder.path().join("a/b"));
    let synced = |folder: &Path| {
      let mut synced = Vec::new();
      let note = |folder: &Path| {
        synced.push(folder.to_path_buf());
        sync_folder(folder)
      };
      create_folders(folder, note).unwrap();
      synced
    };
    assert_eq!(synced(&second), [folder.path(), &first]);
    assert!(synced(&second).is_empty());
  }
}
