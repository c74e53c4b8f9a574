use std::path::{Path, PathBuf, is_separator};

use url::Url;

use crate::engine::{ErrorKind, StoreError};
use crate::error::KvError;

/// Where a database is, as an embedder's hook sees it (`open_hook` of `kv_ext::KvOptions`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
  /// In memory, for one handle only.
  Memory,
  /// A file. The hook gets an absolute path without `.` and `..`. Opening it afterwards refuses symbolic links, so the
  /// path that the hook approves is the file that is opened.
  File(PathBuf),
  /// A database that an engine for the URL's scheme opens: `https:`, for one.
  Url(Url),
}

impl Location {
  /// Parses a name given to `Deno.openKv`: `:memory:`, the path of a file, or a URL: of a file, `http:` or `https:`.
  ///
  /// # Errors
  /// The name is empty, begins with a colon, contains a NUL, ends with a separator, or is an unsupported URL.
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
      return match Url::parse(name) {
        Ok(url) => Ok(Self::Url(url)),
        Err(error) => Err(KvError::InvalidUrl(name.into(), error)),
      };
    }
    if let Some(rest) = name.strip_prefix("file:") {
      // Not SQLite's own kind of URI, whose parameters could switch locking off.
      return local_url(name, rest)
        .filter(|url| url.query().is_none())
        .and_then(|url| url.to_file_path().ok())
        .map(Self::File)
        .ok_or_else(|| KvError::FilenameUrl(name.into()));
    }
    // Such a path names a folder. It is refused here, since making it absolute would drop the separator.
    if name.ends_with(is_separator) {
      let error = StoreError::new(
        ErrorKind::CannotOpen,
        format!("unable to open database file: {name}: it is a folder"),
      );
      return Err(KvError::Open(error));
    }
    Ok(Self::File(PathBuf::from(name)))
  }
}

/// Parses a `file:` URL. One without a leading slash is relative to the working folder, as in SQLite and so in Deno.
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
  fn names_are_memory_paths_or_file_urls() {
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
  fn invalid_names_are_refused() {
    assert!(matches!(Location::parse(""), Err(KvError::EmptyFilename)));
    assert!(matches!(
      Location::parse(":x"),
      Err(KvError::FilenameStartsWithColon)
    ));
    assert!(matches!(Location::parse("a\0b"), Err(KvError::FilenameNul)));
    assert!(matches!(
      Location::parse("https://"),
      Err(KvError::InvalidUrl(..))
    ));
    for uri in ["file:///tmp/a?mode=memory", "file://host/a?vfs=unix-none"] {
      assert!(
        matches!(Location::parse(uri), Err(KvError::FilenameUrl(_))),
        "{uri}"
      );
    }
  }

  #[test]
  fn remote_databases_are_urls() {
    let url = Url::parse("https://db.example:8080/x").unwrap();
    assert_eq!(
      Location::parse("https://db.example:8080/x").unwrap(),
      Location::Url(url)
    );
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
