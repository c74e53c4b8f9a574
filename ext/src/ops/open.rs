use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use deno_core::error::ResourceError;
use deno_core::url::Url;
use deno_core::{OpState, op2, v8};

use super::handle::{Handle, HandleObject, OpenHandles, WEIGHT_IN_MEMORY, WEIGHT_OF_FILE};
use super::object::object;
use crate::error::KvError;
use crate::location::Location;
use crate::options::KvOptions;
use crate::store::sqlite;
use crate::store::{Backend, StoreError, Traced};

/// What a path given to `openKv` means.
fn locate(path: &str) -> Result<Location, KvError> {
  if path == ":memory:" {
    return Ok(Location::Memory);
  }
  if path.is_empty() {
    return Err(KvError::EmptyFilename);
  }
  if path.starts_with(':') {
    return Err(KvError::FilenameStartsWithColon);
  }
  if path.contains('\0') {
    return Err(KvError::FilenameNul);
  }
  if path.starts_with("http://") || path.starts_with("https://") {
    return Err(KvError::Remote(path.into()));
  }
  if path.starts_with("file:") {
    // Read as a URL, like every file: string in Deno, and not as SQLite's own kind of URI, whose
    // parameters could switch locking off.
    return Url::parse(path)
      .ok()
      .filter(|url| url.query().is_none())
      .and_then(|url| url.to_file_path().ok())
      .map(Location::File)
      .ok_or_else(|| KvError::FilenameUrl(path.into()));
  }
  Ok(Location::File(PathBuf::from(path)))
}

/// The same path from the root, without `.` and `..`. Where that would be another file, because a part
/// of the path is a symbolic link, the store refuses the path.
fn normalize(path: &Path) -> std::io::Result<PathBuf> {
  let mut normal = PathBuf::new();
  for part in std::path::absolute(path)?.components() {
    match part {
      Component::CurDir => {}
      Component::ParentDir => {
        normal.pop();
      }
      part => normal.push(part),
    }
  }
  Ok(normal)
}

/// Asks the embedder.
fn allow(options: &KvOptions, location: Location) -> Result<Location, KvError> {
  let Some(hook) = &options.open_hook else {
    return Ok(location);
  };
  let location = match location {
    Location::File(path) => {
      let cannot_open = |error: std::io::Error| {
        KvError::Open(StoreError::CannotOpen {
          path: path.clone(),
          reason: error.to_string(),
        })
      };
      Location::File(normalize(&path).map_err(cannot_open)?)
    }
    memory => memory,
  };
  hook(&location).map_err(KvError::Denied)
}

/// Makes the folder of the default database, if it is missing.
fn make_default_folder(path: &Path, label: Option<&str>) -> Result<(), KvError> {
  let folder = path.parent().unwrap_or(Path::new(""));
  let failed = |source| KvError::DefaultFolder {
    path: folder.display().to_string(),
    source,
  };
  std::fs::create_dir_all(folder).map_err(failed)?;
  if let Some(label) = label {
    let file = folder.join("script.txt");
    if !file.exists() {
      std::fs::write(file, format!("{label}\n")).map_err(failed)?;
    }
  }
  Ok(())
}

/// Opens a database; returns a ticket for its handle. A file that may take its time is opened on a thread
/// of its own.
#[op2]
#[smi]
pub async fn op_kv_open(
  state: Rc<RefCell<OpState>>,
  #[string] path: Option<String>,
) -> Result<u32, KvError> {
  let options = state.borrow().borrow::<KvOptions>().clone();
  let (backend, weight) = match (&path, &options.default_store) {
    (None, Some(store)) => (store.backend().clone(), WEIGHT_OF_FILE),
    _ => {
      let (backend, weight) = open(path, &options).await?;
      (Traced::new(backend), weight)
    }
  };
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
) -> Result<v8::Local<'s, v8::Value>, KvError> {
  let opened = state.borrow().borrow::<OpenHandles>().take(ticket);
  let handle = opened.ok_or(KvError::Closed(ResourceError::BadResourceId))?;
  let change = handle.weigh();
  scope.adjust_amount_of_external_allocated_memory(change);
  object(scope, &state, HandleObject(handle))
}

/// Also returns what the database weighs.
async fn open(
  path: Option<String>,
  options: &KvOptions,
) -> Result<(Arc<dyn Backend>, i64), KvError> {
  let is_default = path.is_none();
  let asked = match path {
    Some(path) => locate(&path)?,
    None => Location::File(options.default_path.clone().ok_or(KvError::NoDefaultPath)?),
  };
  let location = allow(options, asked)?;
  let sqlite = options.sqlite();
  let (opened, weight) = match location {
    Location::Memory => (sqlite::open_memory(&sqlite), WEIGHT_IN_MEMORY),
    Location::File(path) => {
      if is_default {
        make_default_folder(&path, options.default_label.as_deref())?;
      }
      let opened = match sqlite::open_file_at_once(&path, &sqlite) {
        Some(result) => result,
        None => deno_core::unsync::spawn_blocking(move || sqlite::open_file(&path, &sqlite))
          .await
          // The runtime is shutting down.
          .unwrap_or(Err(StoreError::Stopped)),
      };
      (opened, WEIGHT_OF_FILE)
    }
  };
  let backend = opened.map_err(KvError::Open)?;
  Ok((backend, weight))
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
  fn a_path_is_a_file_unless_it_says_otherwise() {
    assert_eq!(locate(":memory:").unwrap(), Location::Memory);
    assert_eq!(locate("./:x").unwrap(), Location::File("./:x".into()));
    #[cfg(unix)]
    assert_eq!(
      locate("file:///tmp/a%20b").unwrap(),
      Location::File("/tmp/a b".into())
    );
  }

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
  fn what_is_no_file_is_refused() {
    assert!(matches!(locate(""), Err(KvError::EmptyFilename)));
    assert!(matches!(
      locate(":x"),
      Err(KvError::FilenameStartsWithColon)
    ));
    assert!(matches!(locate("a\0b"), Err(KvError::FilenameNul)));
    assert!(matches!(locate("https://db"), Err(KvError::Remote(_))));
    for uri in ["file:///tmp/a?mode=memory", "file://host/a?vfs=unix-none"] {
      assert!(matches!(locate(uri), Err(KvError::FilenameUrl(_))), "{uri}");
    }
  }
}
