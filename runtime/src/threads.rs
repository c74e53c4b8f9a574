//! Whether the system starts as many threads as a script needs.

use std::num::NonZero;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};

/// V8 makes as many for itself as there are processors, but no more than this.
const MOST_OF_V8: usize = 17;

/// For a database, and for calls that wait for files.
const OURS: usize = 2;

/// Starts the threads that a script needs, and ends them. Where one can't be started, V8 aborts the process, and
/// tokio panics.
///
/// # Errors
/// The system starts no more: the message says how many are needed.
pub fn must_start() -> Result<()> {
  let processors = thread::available_parallelism().map_or(1, NonZero::get);
  let needed = processors.min(MOST_OF_V8) + OURS;
  let mut started = Vec::new();
  for _ in 0..needed {
    let (end, wait) = mpsc::channel::<()>();
    let thread = thread::Builder::new()
      .stack_size(64 << 10)
      .spawn(move || wait.recv())
      .with_context(|| {
        format!(
          "{needed} threads can't be started: the limit on processes is too low (ulimit -u, or the \
           container's limit on pids)"
        )
      })?;
    started.push((end, thread));
  }
  for (end, thread) in started {
    drop(end);
    let _ = thread.join();
  }
  Ok(())
}
