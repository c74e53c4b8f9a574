use std::path::Path;
use std::thread;

use crate::engine::StoreError;

/// Starts a thread that works for the file at `path`.
///
/// # Errors
/// The system has none left.
pub(super) fn spawn(
  path: &Path,
  name: &str,
  run: impl FnOnce() + Send + 'static,
) -> Result<(), StoreError> {
  match thread::Builder::new().name(name.into()).spawn(run) {
    Ok(_) => Ok(()),
    Err(error) => Err(StoreError::CannotOpen {
      path: path.to_path_buf(),
      reason: format!("no thread could be started: {error}"),
    }),
  }
}
