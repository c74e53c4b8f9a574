use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use deno_core::v8::IsolateHandle;

/// Stops a script that never returns to the event loop, such as `while (true)`. A timer stops a test that waits for a
/// promise; this thread stops code that no timer can interrupt.
pub struct Watchdog {
  deadlines: mpsc::Sender<Option<Instant>>,
  has_bitten: Arc<AtomicBool>,
}

impl Watchdog {
  /// Starts the thread; it ends with the value.
  pub fn new(isolate: IsolateHandle) -> Self {
    let (deadlines, changes) = mpsc::channel::<Option<Instant>>();
    let has_bitten = Arc::new(AtomicBool::new(false));
    let bitten = has_bitten.clone();
    thread::spawn(move || {
      let mut deadline: Option<Instant> = None;
      loop {
        let change = match deadline {
          Some(at) => changes.recv_timeout(at.saturating_duration_since(Instant::now())),
          None => changes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match change {
          Ok(changed) => deadline = changed,
          Err(RecvTimeoutError::Disconnected) => return,
          Err(RecvTimeoutError::Timeout) => {
            bitten.store(true, Ordering::SeqCst);
            isolate.terminate_execution();
            deadline = None;
          }
        }
      }
    });
    Self {
      deadlines,
      has_bitten,
    }
  }

  /// Gives the script this much time, starting now.
  pub fn arm(&self, time: Option<Duration>) {
    // The thread lives as long as this value.
    let _ = self.deadlines.send(time.map(|time| Instant::now() + time));
  }

  /// Whether the script was stopped, which makes its runtime unusable.
  pub fn has_bitten(&self) -> bool {
    self.has_bitten.load(Ordering::SeqCst)
  }
}
