use std::sync::OnceLock;

use kv_store::engine::{ErrorKind, StoreError};
use tokio::runtime::{Builder, Handle};

static RUNTIME: OnceLock<Result<Handle, String>> = OnceLock::new();

/// The event loop that all remote databases of the process share. Its thread is started by the first one, and ends with
/// the process.
pub(super) fn handle() -> Result<Handle, StoreError> {
  let handle = RUNTIME.get_or_init(|| start().map_err(|error| error.to_string()));
  handle.clone().map_err(|error| {
    let message = format!("the thread for remote databases could not be started: {error}");
    StoreError::new(ErrorKind::Other, message)
  })
}

fn start() -> std::io::Result<Handle> {
  let runtime = Builder::new_current_thread().enable_all().build()?;
  let handle = runtime.handle().clone();
  std::thread::Builder::new()
    .name("kv-connect".into())
    .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
  Ok(handle)
}
