//! Ctrl+C while something is evaluated: it stops, and the prompt comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use deno_core::v8::IsolateHandle;
use tokio::sync::Notify;

/// Waits for the signal on its own thread, since the engine's thread may be in an endless loop.
pub struct Interrupts {
  isolate: IsolateHandle,
  evaluates: Arc<AtomicBool>,
  stopped: Arc<Notify>,
}

impl Interrupts {
  /// From now on the signal does not end the process.
  pub fn hear(isolate: IsolateHandle) -> Result<Self> {
    let interrupts = Self {
      isolate,
      evaluates: Arc::default(),
      stopped: Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
      .enable_all()
      .build()
      .context("Ctrl+C")?;
    let (isolate, evaluates, stopped) = (
      interrupts.isolate.clone(),
      interrupts.evaluates.clone(),
      interrupts.stopped.clone(),
    );
    thread::spawn(move || {
      runtime.block_on(async {
        while tokio::signal::ctrl_c().await.is_ok() {
          if evaluates.swap(false, Ordering::SeqCst) {
            isolate.terminate_execution();
            stopped.notify_one();
          }
        }
      });
    });
    Ok(interrupts)
  }

  /// An evaluation begins.
  pub fn arm(&self) {
    self.evaluates.store(true, Ordering::SeqCst);
  }

  /// Resolves when the evaluation is to stop.
  pub async fn stopped(&self) {
    // A notice may be left over from an earlier evaluation, one that was stopped before anything waited here.
    while self.evaluates.load(Ordering::SeqCst) {
      self.stopped.notified().await;
    }
  }

  /// Marks the end of an evaluation and lets the engine run again; returns whether the evaluation was stopped.
  pub fn disarm(&self) -> bool {
    let was_stopped = !self.evaluates.swap(false, Ordering::SeqCst);
    if was_stopped {
      self.isolate.cancel_terminate_execution();
    }
    was_stopped
  }
}
