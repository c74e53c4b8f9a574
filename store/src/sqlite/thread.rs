use std::path::Path;
use std::thread::{self, JoinHandle};

use super::error::cannot_open;
use crate::engine::StoreError;

/// Starts a thread that works for the file at `path`. `name` is what a debugger and `ps -L` show.
///
/// # Errors
/// The system has no thread left.
pub(crate) fn spawn(
  path: &Path,
  name: &str,
  run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
  thread::Builder::new()
    .name(name.into())
    .spawn(run)
    .map_err(|error| cannot_open(path, format!("no thread could be started: {error}")))
}
