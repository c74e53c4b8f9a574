use std::path::PathBuf;

/// Where a database is, as an embedder's hook sees it
/// ([`KvOptions::open_hook`](crate::KvOptions::open_hook)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
  /// In memory, for one handle only.
  Memory,
  /// A file: an absolute path without `.` and `..`. A path that leads through a symbolic link is
  /// refused after the hook, so what it sees is what is opened.
  File(PathBuf),
}
