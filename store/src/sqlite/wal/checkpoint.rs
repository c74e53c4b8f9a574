//! Checkpoints move pages from the log into the database file, so that the log can start over. One costs two syncs
//! and some thousand writes, so a thread of its own makes them, beside readers and commits.
//!
//! Such a checkpoint never reaches the end of a log that is written to all the time. So when the thread is done, one
//! commit waits for a second checkpoint, of the few pages that have come meanwhile, and starts the log over: its file
//! keeps its size and is written from the front, which is cheaper than growing.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::sqlite::file::connect;
use crate::sqlite::thread;

/// A checkpoint is due for every so many pages, 4 MB: SQLite's own default.
const STEP_PAGES: u32 = 1000;

/// When the log has grown by so many, 32 MB, since the request, a commit restarts it without waiting for the thread.
const RESTART_PAGES: u32 = 8 * STEP_PAGES;

thread_local! {
  /// What SQLite has reported of the commit that this thread has just made.
  static LOG_PAGES: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Makes a connection report the length of the log after each commit, in place of making checkpoints itself.
pub(crate) fn report_log_pages(connection: &Connection) {
  connection.wal_hook(Some(|_, pages| {
    LOG_PAGES.set(u32::try_from(pages).ok());
    Ok(())
  }));
}

/// The length of the log after the commit that this thread has just made, if it made one.
pub(crate) fn take_log_pages() -> Option<u32> {
  LOG_PAGES.take()
}

/// Makes a checkpoint, as far as readers let it.
fn run(connection: &Connection) {
  let result = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
  // One that fails leaves everything as it was: commits are in the log, and the next commit requests a checkpoint
  // again. A fault of the disk makes those commits fail.
  let _ = result;
}

/// Decides when checkpoints are made, and owns the thread that makes them; it starts with the first one.
pub(crate) struct Checkpointer {
  path: PathBuf,
  thread: Option<(SyncSender<()>, JoinHandle<()>)>,
  /// Pages in the log after the last commit.
  log_pages: u32,
  /// The length at which the next checkpoint is due. A log that readers keep from starting over goes on growing, and
  /// needs one for each step.
  due_at: u32,
  /// A checkpoint was requested of the thread.
  is_requested: bool,
  count: Arc<AtomicU64>,
  /// The thread has made it.
  is_done: Arc<AtomicBool>,
}

impl Checkpointer {
  pub(crate) fn new(path: PathBuf) -> Self {
    Self {
      path,
      thread: None,
      log_pages: 0,
      due_at: STEP_PAGES,
      is_requested: false,
      count: Arc::default(),
      is_done: Arc::default(),
    }
  }

  /// Pages in the log after the last commit of this process.
  pub(crate) fn log_pages(&self) -> u32 {
    self.log_pages
  }

  /// How many checkpoints were made: by the thread, and by commits that have restarted the log.
  pub(crate) fn count(&self) -> u64 {
    self.count.load(Ordering::Relaxed)
  }

  /// Whether the next commit restarts the log first.
  pub(crate) fn must_restart_log(&self) -> bool {
    self.is_requested
      && (self.is_done.load(Ordering::Acquire) || self.log_pages >= self.due_at + RESTART_PAGES)
  }

  /// Moves what is left in the log into the file, so that the log starts over with the next commit. `connection` is the
  /// one that commits.
  pub(crate) fn restart_log(&mut self, connection: &Connection) {
    run(connection);
    self.count.fetch_add(1, Ordering::Relaxed);
    self.is_requested = false;
    self.due_at = self.log_pages.saturating_add(STEP_PAGES);
  }

  /// Called after each commit, with the length of the log that it has reported.
  pub(crate) fn after_commit(&mut self, log_pages: u32) {
    if log_pages < self.log_pages {
      self.due_at = STEP_PAGES;
    }
    self.log_pages = log_pages;
    if !self.is_requested && log_pages >= self.due_at {
      self.request();
    }
  }

  fn request(&mut self) {
    if self.thread.is_none() {
      let (requests, waiting) = sync_channel(1);
      let (path, is_done) = (self.path.clone(), self.is_done.clone());
      let count = self.count.clone();
      let serve = move || serve(&path, &waiting, &is_done, &count);
      let thread = thread::spawn(&self.path, "kv-checkpoint", serve);
      self.thread = thread.ok().map(|thread| (requests, thread));
    }
    self.is_done.store(false, Ordering::Release);
    self.is_requested = true;
    let is_running = self
      .thread
      .as_ref()
      .is_some_and(|(requests, _)| requests.try_send(()).is_ok());
    if !is_running {
      // No thread could be started: a commit makes the whole checkpoint.
      self.is_done.store(true, Ordering::Release);
    }
  }
}

fn serve(path: &Path, requests: &Receiver<()>, is_done: &AtomicBool, count: &AtomicU64) {
  let connection = connect::checkpointer(path);
  while requests.recv().is_ok() {
    if let Ok(connection) = &connection {
      run(connection);
      count.fetch_add(1, Ordering::Relaxed);
    }
    is_done.store(true, Ordering::Release);
  }
}

impl Drop for Checkpointer {
  fn drop(&mut self) {
    if let Some((requests, thread)) = self.thread.take() {
      drop(requests);
      // It can't have panicked, and if it had, there would be nothing to do.
      let _ = thread.join();
    }
  }
}
