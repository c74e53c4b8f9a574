//! The maintenance thread, for what happens without a call: rows expire, messages fall due, leases need to be renewed,
//! processes die, other processes commit, and snapshots are not used any more.

use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::expiry_schedule::ExpirySchedule;
use super::watchers::Watchers;
use crate::engine::Clock;
use crate::sqlite::alarm::Alarm;
use crate::sqlite::delivery::Dispatcher;
use crate::sqlite::file::connect;
use crate::sqlite::mutex::lock;
use crate::sqlite::options::SqliteOptions;
use crate::sqlite::read::pool::{self, Pool};
use crate::sqlite::sqlite_api::data_version;
use crate::sqlite::transaction::next_expiry;
use crate::sqlite::wal::foreign_commits::ForeignCommits;
use crate::sqlite::wal::index::{IndexReader, WalIndex};
use crate::sqlite::{queue, thread};

/// How often the thread looks for commits of other processes, while somebody watches or listens. A look
/// takes some 10 µs.
const LOOK: Duration = Duration::from_millis(50);

/// How often leases are renewed, which last five seconds.
const RENEWAL: Duration = Duration::from_millis(1_500);

/// The longest sleep: if the machine's clock is set, nothing is late by more.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// A file that other processes may open too.
pub(crate) struct SharedFile {
  pub(crate) pool: Arc<Pool>,
  pub(crate) foreign_commits: Arc<ForeignCommits>,
  pub(crate) reads_wal_index: bool,
}

/// The thread, once there is something for it to do, and what it looks after.
pub(super) struct Maintenance {
  thread: Mutex<Option<JoinHandle<()>>>,
  clock: Arc<dyn Clock>,
  alarm: Arc<Alarm>,
  watchers: Arc<Watchers>,
  dispatcher: Arc<Dispatcher>,
  expiry: Arc<ExpirySchedule>,
  file: Option<SharedFile>,
}

impl Maintenance {
  pub(super) fn new(
    clock: Arc<dyn Clock>,
    alarm: Arc<Alarm>,
    watchers: Arc<Watchers>,
    dispatcher: Arc<Dispatcher>,
    expiry: Arc<ExpirySchedule>,
    file: Option<SharedFile>,
  ) -> Arc<Self> {
    Arc::new(Self {
      thread: Mutex::default(),
      clock,
      alarm,
      watchers,
      dispatcher,
      expiry,
      file,
    })
  }

  /// Starts the thread, if it does not run yet, and wakes it.
  pub(super) fn start(self: &Arc<Self>) {
    let mut thread = lock(&self.thread);
    if thread.is_none() && !self.alarm.is_closed() {
      let weak = Arc::downgrade(self);
      let path = self.file.as_ref().map(|file| file.pool.path());
      let path = path.unwrap_or(Path::new(":memory:"));
      // Without a thread to be had, the next start tries again.
      *thread = thread::spawn(path, "kv-maintenance", move || run(&weak)).ok();
    }
    drop(thread);
    self.alarm.ring();
  }

  /// Waits for the end of the thread, after the alarm was closed.
  pub(super) fn join(&self) {
    let thread = lock(&self.thread).take();
    if let Some(thread) = thread
      && thread.thread().id() != std::thread::current().id()
    {
      // It can't have panicked, and if it had, there would be nothing to do.
      let _ = thread.join();
    }
  }

  /// Does what is due. Returns how long the thread may sleep.
  fn work(&self, progress: &mut Progress) -> Duration {
    let mut sleep = LONGEST_SLEEP;
    let now = Instant::now();
    if let Some(file) = &self.file {
      if !self.watchers.is_empty() || self.dispatcher.is_listened_to() {
        if progress.last_look.is_none_or(|last| now - last >= LOOK) {
          self.look_at_others(file, &mut progress.observer);
          progress.last_look = Some(now);
        }
        sleep = LOOK;
      }
      if self.dispatcher.is_delivering() {
        if now - progress.last_renewal >= RENEWAL {
          self.dispatcher.renew();
          progress.last_renewal = now;
        }
        sleep = sleep.min(RENEWAL);
      } else {
        progress.last_renewal = now;
      }
      if file.pool.evict() {
        sleep = sleep.min(pool::EVICTION);
      }
    }

    let now_ms = self.clock.now_ms();
    if let Some(due_at) = self.dispatcher.next() {
      if due_at <= now_ms {
        self.dispatcher.pump();
      } else {
        sleep = sleep.min(Duration::from_millis(due_at - now_ms));
      }
    }
    if let Some(until) = self.expiry.until_removal(now_ms) {
      if until.is_zero() {
        self.expiry.remove();
      } else {
        sleep = sleep.min(until);
      }
    }
    sleep
  }

  /// Looks for what other processes have done. Errors are left to reads and writes, which meet them too; the next look
  /// comes soon.
  fn look_at_others(&self, file: &SharedFile, kept: &mut Option<Observer>) {
    if kept.is_none() {
      *kept = Observer::open(file).ok();
    }
    if let Some(observer) = kept
      && self.look(file, observer).is_err()
    {
      *kept = None;
    }
  }

  fn look(&self, file: &SharedFile, observer: &mut Observer) -> rusqlite::Result<()> {
    // A read comes first: before one, the connection does not know the state of the file.
    if let Some(expires_at) = next_expiry(&observer.connection)? {
      self.expiry.note(expires_at);
    }
    if observer.has_foreign_commits(&file.foreign_commits) {
      self.watchers.raise_all();
    }
    if self.dispatcher.is_listened_to() {
      if let Some(due_at) = queue::next_due(&observer.connection)? {
        self.dispatcher.note_due(due_at);
      }
      if queue::has_expired(&observer.connection, self.clock.now_ms())? {
        // If the clock was set forward, the leases of living processes have expired as well.
        self.dispatcher.renew();
        self.dispatcher.reclaim();
      }
    }
    Ok(())
  }
}

/// What the thread keeps between two rounds of work.
struct Progress {
  observer: Option<Observer>,
  last_look: Option<Instant>,
  last_renewal: Instant,
}

fn run(maintenance: &Weak<Maintenance>) {
  let mut progress = Progress {
    observer: None,
    last_look: None,
    last_renewal: Instant::now(),
  };
  while let Some(maintenance) = maintenance.upgrade() {
    let sleep = maintenance.work(&mut progress);
    if !maintenance.alarm.sleep(sleep) {
      return;
    }
  }
}

/// The connection that looks for what other processes have done.
struct Observer {
  connection: Connection,
  index: IndexReader,
  /// SQLite's, at the last look.
  data_version: Option<u32>,
}

impl Observer {
  fn open(file: &SharedFile) -> rusqlite::Result<Self> {
    Ok(Self {
      connection: connect::reader(file.pool.path(), &SqliteOptions::default())?,
      index: IndexReader::new(file.reads_wal_index),
      data_version: None,
    })
  }

  /// Whether others have committed since the last look. Without a WAL index, the commits of this process count as
  /// well: then watchers are woken without need.
  fn has_foreign_commits(&mut self, foreign_commits: &ForeignCommits) -> bool {
    let before = std::mem::replace(&mut self.data_version, data_version(&self.connection));
    let count = || self.index.read(&self.connection).map(WalIndex::i_change);
    foreign_commits
      .look(count)
      .unwrap_or(before != self.data_version)
  }
}
