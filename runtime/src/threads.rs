//! Whether the system starts as many threads as a script needs.

use std::num::NonZero;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};

/// V8 starts at most one thread for each processor, and no more than this.
const MOST_OF_V8: usize = 17;

/// One thread for a database, and one for calls that wait for files.
const OURS: usize = 2;

/// Starts as many threads as a script needs, and ends them again. Without this check, V8 aborts the process or tokio
/// panics when a thread can't be started.
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
