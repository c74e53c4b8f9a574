use std::path::{Path, PathBuf, is_separator};

use url::Url;

use crate::engine::StoreError;
use crate::error::KvError;

/// Where a database is, as an embedder's hook sees it (`open_hook` of `kv_ext::KvOptions`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
  /// In memory, for one handle only.
  Memory,
  /// A file: an absolute path without `.` and `..`. A path that leads through a symbolic link is
  /// refused after the hook, so what it sees is what is opened.
  File(PathBuf),
}

impl Location {
  /// What a name given to `Deno.openKv` means: `:memory:`, the path of a file, or a `file:` URL.
  ///
  /// # Errors
  /// It is empty, begins with a colon, has a NUL, or is a URL of something else.
  pub fn parse(name: &str) -> Result<Self, KvError> {
    if name == ":memory:" {
      return Ok(Self::Memory);
    }
    if name.is_empty() {
      return Err(KvError::EmptyFilename);
    }
    if name.starts_with(':') {
      return Err(KvError::FilenameStartsWithColon);
    }
    if name.contains('\0') {
      return Err(KvError::FilenameNul);
    }
    if name.starts_with("http://") || name.starts_with("https://") {
      return Err(KvError::Remote(name.into()));
    }
    if let Some(rest) = name.strip_prefix("file:") {
      // Not SQLite's own kind of URI, whose parameters could switch locking off.
      return local_url(name, rest)
        .filter(|url| url.query().is_none())
        .and_then(|url| url.to_file_path().ok())
        .map(Self::File)
        .ok_or_else(|| KvError::FilenameUrl(name.into()));
    }
    // A path that ends so names no file, and what makes it absolute drops the separator.
    if name.ends_with(is_separator) {
      return Err(KvError::Open(StoreError::CannotOpen {
        path: name.into(),
        reason: "it is a folder".into(),
      }));
    }
    Ok(Self::File(PathBuf::from(name)))
  }
}

/// A `file:` URL. Without a slash it is relative to the working folder, as SQLite, and so Deno, reads it.
fn local_url(url: &str, rest: &str) -> Option<Url> {
  if rest.starts_with('/') {
    return Url::parse(url).ok();
  }
  let folder = std::path::absolute(Path::new(".")).ok()?;
  Url::from_directory_path(folder)
    .ok()?
    .join(&format!("./{rest}"))
    .ok()
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn a_path_is_a_file_unless_it_says_otherwise() {
    assert_eq!(Location::parse(":memory:").unwrap(), Location::Memory);
    assert_eq!(
      Location::parse("./:x").unwrap(),
      Location::File("./:x".into())
    );
    #[cfg(unix)]
    assert_eq!(
      Location::parse("file:///tmp/a%20b").unwrap(),
      Location::File("/tmp/a b".into())
    );
  }

  #[test]
  fn what_is_no_file_is_refused() {
    assert!(matches!(Location::parse(""), Err(KvError::EmptyFilename)));
    assert!(matches!(
      Location::parse(":x"),
      Err(KvError::FilenameStartsWithColon)
    ));
    assert!(matches!(Location::parse("a\0b"), Err(KvError::FilenameNul)));
    assert!(matches!(
      Location::parse("https://db"),
      Err(KvError::Remote(_))
    ));
    for uri in ["file:///tmp/a?mode=memory", "file://host/a?vfs=unix-none"] {
      assert!(
        matches!(Location::parse(uri), Err(KvError::FilenameUrl(_))),
        "{uri}"
      );
    }
  }

  #[test]
  fn a_url_without_a_slash_is_relative() {
    let folder = std::path::absolute(".").unwrap();
    for (name, path) in [
      ("file:app.db", "app.db"),
      ("file:a/b%20c", "a/b c"),
      ("file:./x:y", "x:y"),
    ] {
      assert_eq!(
        Location::parse(name).unwrap(),
        Location::File(folder.join(path)),
        "{name}"
      );
    }
    assert!(Location::parse("file:app.db?vfs=unix-none").is_err());
  }
}
