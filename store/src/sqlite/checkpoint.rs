//! Checkpoints: what moves pages from the log (the WAL) into the database file, so that the log can
//! start over. They cost two syncs and some thousand writes, so a thread of its own makes them,
//! beside readers and commits.
//!
//! A log that is written to all the time never comes to its end that way. So when the thread is
//! through, one commit makes a pause, moves the few pages that have come meanwhile, and starts the
//! log over: its file keeps its size and is written from the front, which is cheaper than growing.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::connect;

/// So many pages, 4 MB, are worth a checkpoint: SQLite's own default.
const STEP_PAGES: u32 = 1000;

/// Where the log has grown by so many while the thread is at work, 32 MB, a commit does not wait for
/// it to be through.
const PAUSE_PAGES: u32 = 8 * STEP_PAGES;

thread_local! {
  /// What SQLite has reported of the commit that this thread has just made.
  static LOG_PAGES: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Lets a connection's commits report the length of the log, and make no checkpoints themselves.
pub(super) fn report_log_pages(connection: &Connection) {
  connection.wal_hook(Some(|_, pages| {
    LOG_PAGES.set(u32::try_from(pages).ok());
    Ok(())
  }));
}

/// The length of the log after the commit that this thread has just made, if it made one.
pub(super) fn take_log_pages() -> Option<u32> {
  LOG_PAGES.take()
}

/// Makes a checkpoint, as far as readers let it.
fn run(connection: &Connection) {
  let result = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
  // One that fails leaves everything as it was: commits are in the log, and the next commit asks
  // for a checkpoint again. What is wrong with the disk they will hear themselves.
  let _ = result;
}

/// When checkpoints are made, and the thread that makes them; it starts with the first one.
pub(super) struct Checkpointer {
  path: PathBuf,
  thread: Option<(SyncSender<()>, JoinHandle<()>)>,
  /// Pages in the log after the last commit.
  log_pages: u32,
  /// At how many the next checkpoint is due. A log that readers keep from starting over goes on
  /// growing, and needs one for each step.
  due_at: u32,
  /// The thread has been asked for a checkpoint.
  asked: bool,
  /// And is through with it.
  through: Arc<AtomicBool>,
}

impl Checkpointer {
  pub(super) fn new(path: PathBuf) -> Self {
    Self {
      path,
      thread: None,
      log_pages: 0,
      due_at: STEP_PAGES,
      asked: false,
      through: Arc::default(),
    }
  }

  /// Pages in the log after the last commit of this process.
  pub(super) fn log_pages(&self) -> u32 {
    self.log_pages
  }

  /// Whether the next commit should make a pause first.
  pub(super) fn wants_pause(&self) -> bool {
    self.asked
      && (self.through.load(Ordering::Acquire) || self.log_pages >= self.due_at + PAUSE_PAGES)
  }

  /// The pause: whoever commits lends its connection.
  pub(super) fn pause(&mut self, connection: &Connection) {
    run(connection);
    self.asked = false;
    self.due_at = self.log_pages.saturating_add(STEP_PAGES);
  }

  /// To be called after each commit, with what it has reported.
  pub(super) fn after_commit(&mut self, log_pages: u32) {
    if log_pages < self.log_pages {
      self.due_at = STEP_PAGES;
    }
    self.log_pages = log_pages;
    if !self.asked && log_pages >= self.due_at {
      self.ask();
    }
  }

  fn ask(&mut self) {
    if self.thread.is_none() {
      let (requests, waiting) = sync_channel(1);
      let (path, through) = (self.path.clone(), self.through.clone());
      let thread = thread::Builder::new()
        .name("kv-checkpoint".into())
        .spawn(move || serve(&path, &waiting, &through));
      self.thread = thread.ok().map(|thread| (requests, thread));
    }
    self.through.store(false, Ordering::Release);
    self.asked = true;
    let heard = self
      .thread
      .as_ref()
      .is_some_and(|(requests, _)| requests.try_send(()).is_ok());
    if !heard {
      // No thread could be started, or it could not open the file: then a commit does it all.
      self.through.store(true, Ordering::Release);
    }
  }
}

fn serve(path: &Path, requests: &Receiver<()>, through: &AtomicBool) {
  let connection = connect::checkpointer(path);
  while requests.recv().is_ok() {
    if let Ok(connection) = &connection {
      run(connection);
    }
    through.store(true, Ordering::Release);
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
