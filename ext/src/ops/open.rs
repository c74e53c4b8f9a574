use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use deno_core::url::Url;
use deno_core::{OpState, op2};

use super::handle::{Handle, HandleObject, OpenHandles};
use crate::error::KvError;
use crate::options::KvOptions;
use crate::store::sqlite;

/// What a path given to `openKv` means.
#[derive(Debug, PartialEq)]
enum Location {
  Memory,
  File(PathBuf),
}

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

fn default_location(options: &KvOptions) -> Result<Location, KvError> {
  let path = options
    .default_path
    .as_deref()
    .ok_or(KvError::NoDefaultPath)?;
  let folder = path.parent().unwrap_or(Path::new(""));
  let failed = |source| KvError::DefaultFolder {
    path: folder.display().to_string(),
    source,
  };
  std::fs::create_dir_all(folder).map_err(failed)?;
  if let Some(label) = &options.default_label {
    let file = folder.join("script.txt");
    if !file.exists() {
      std::fs::write(file, format!("{label}\n")).map_err(failed)?;
    }
  }
  Ok(Location::File(path.to_path_buf()))
}

/// Opens a database. A file that may take its time is opened on a thread of its own.
#[op2]
#[cppgc]
pub async fn op_kv_open(
  state: Rc<RefCell<OpState>>,
  #[string] path: Option<String>,
) -> Result<HandleObject, KvError> {
  let options = state.borrow().borrow::<KvOptions>().clone();
  let location = match path {
    Some(path) => locate(&path)?,
    None => default_location(&options)?,
  };
  let sqlite = options.sqlite();
  let store = match location {
    Location::Memory => sqlite::open_memory(&sqlite),
    Location::File(path) => match sqlite::open_file_at_once(&path, &sqlite) {
      Some(result) => result,
      None => deno_core::unsync::spawn_blocking(move || sqlite::open_file(&path, &sqlite))
        .await
        // The runtime is shutting down.
        .unwrap_or(Err(crate::store::StoreError::Stopped)),
    },
  }
  .map_err(KvError::Open)?;
  let handle = Handle::new(store, options);
  state.borrow().borrow::<OpenHandles>().add(&handle);
  Ok(HandleObject(handle))
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
