//! A thread that looks after what happens without anybody's doing: rows expire, messages fall due,
//! processes die, and other processes commit.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connect;
use super::counter;
use super::dispatcher::Dispatcher;
use super::events::Events;
use super::news::Count;
use super::queue::{self, NEXT_DUE, first};
use super::readers;
use super::registry::lock;
use super::sweep::NEXT_EXPIRY;
use super::task::Task;
use crate::engine::Durability;

/// How often it looks what other processes have done, while somebody watches or listens. A glance
/// takes some 10 µs.
const GLANCE: Duration = Duration::from_millis(50);

/// How often deliveries get a new deadline, which is five seconds away.
const HEARTBEAT: Duration = Duration::from_millis(1_500);

/// The least time between two sweeps. Nobody reads what has expired; but who watches a key is to hear
/// of it.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
const SWEEP_PAUSE_WATCHED: Duration = Duration::from_millis(5);
/// While more has expired than one sweep removes. Commits come between.
const SWEEP_PAUSE_MORE: Duration = Duration::from_millis(2);

/// The longest sleep: the machine's clock may be set, and then what was to happen happens no later.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// What the caretaker waits for, and what wakes it.
#[derive(Default)]
pub(super) struct Alarm {
  state: Mutex<AlarmState>,
  wake: Condvar,
}

#[derive(Default)]
struct AlarmState {
  /// Something has changed since the caretaker looked last.
  rung: bool,
  closed: bool,
  /// When the next row expires, as far as known.
  expires_at: Option<u64>,
  sweeping: bool,
  /// No sweep before.
  sweep_after: Option<Instant>,
}

impl Alarm {
  /// Wakes the caretaker, if there is one.
  pub(super) fn ring(&self) {
    let mut state = lock(&self.state);
    if !state.rung {
      state.rung = true;
      self.wake.notify_one();
    }
  }

  /// A row expires at this time. Whether it is the first to.
  pub(super) fn note_expiry(&self, expires_at: u64) -> bool {
    let mut state = lock(&self.state);
    let is_first = state.expires_at.is_none_or(|known| expires_at < known);
    if is_first {
      state.expires_at = Some(expires_at);
    }
    is_first
  }

  /// A sweep is done; the next row expires then.
  pub(super) fn swept(&self, next: Option<u64>) {
    lock(&self.state).expires_at = next;
  }

  pub(super) fn close(&self) {
    lock(&self.state).closed = true;
    self.ring();
  }

  /// How long until the next sweep, if there is anything to wait for.
  fn until_sweep(&self, now_ms: u64) -> Option<Duration> {
    let state = lock(&self.state);
    if state.sweeping {
      return None;
    }
    let expires_in = Duration::from_millis(state.expires_at?.saturating_sub(now_ms));
    let pause = state.sweep_after.map_or(Duration::ZERO, |time| {
      time.saturating_duration_since(Instant::now())
    });
    Some(expires_in.max(pause))
  }
}

/// The thread, once there is something for it to do.
#[derive(Default)]
pub(super) struct Caretaker {
  thread: Mutex<Option<JoinHandle<()>>>,
}

impl Caretaker {
  pub(super) fn start(&self, events: &Arc<Events>) {
    let mut thread = lock(&self.thread);
    if thread.is_none() && !lock(&events.alarm.state).closed {
      let weak = Arc::downgrade(events);
      // With no thread to be had, it is tried again when there is something else to do.
      *thread = std::thread::Builder::new()
        .name("kv-caretaker".into())
        .spawn(move || look_after(&weak))
        .ok();
    }
  }

  /// Waits for the thread's end, which `Alarm::close` has asked for.
  pub(super) fn join(&self) {
    let thread = lock(&self.thread).take();
    if let Some(thread) = thread
      && thread.thread().id() != std::thread::current().id()
    {
      // It can't have panicked, and if it had, there would be nothing to do.
      let _ = thread.join();
    }
  }
}

fn look_after(events: &Weak<Events>) {
  let mut glancer = None;
  let mut last_glance: Option<Instant> = None;
  let mut last_heartbeat = Instant::now();
  loop {
    let Some(events) = events.upgrade() else {
      return;
    };
    let mut sleep = LONGEST_SLEEP;
    let now = Instant::now();

    let is_public = !events.watchers.is_empty() || events.dispatcher.is_listened_to();
    if let Some(readers) = &events.readers
      && is_public
    {
      if last_glance.is_none_or(|last| now - last >= GLANCE) {
        glance(readers.path(), &mut glancer, &events);
        last_glance = Some(now);
      }
      sleep = GLANCE;
    }

    if events.readers.is_some() && events.dispatcher.is_delivering() {
      if now - last_heartbeat >= HEARTBEAT {
        Dispatcher::beat(&events);
        last_heartbeat = now;
      }
      sleep = sleep.min(HEARTBEAT);
    } else {
      last_heartbeat = now;
    }

    let now_ms = events.now_ms();
    let until = |time: u64| Duration::from_millis(time.saturating_sub(now_ms));
    if let Some(due_at) = events.dispatcher.next() {
      if due_at <= now_ms {
        Dispatcher::pump(&events);
      } else {
        sleep = sleep.min(until(due_at));
      }
    }
    if let Some(until) = events.alarm.until_sweep(now_ms) {
      if until.is_zero() {
        sweep(&events);
      } else {
        sleep = sleep.min(until);
      }
    }

    if let Some(readers) = &events.readers
      && readers.tidy()
    {
      sleep = sleep.min(readers::TIDY);
    }

    if !wait(&events, sleep) {
      return;
    }
  }
}

/// Sleeps until something rings. False in the end.
fn wait(events: &Arc<Events>, sleep: Duration) -> bool {
  let state = lock(&events.alarm.state);
  let (mut state, _) = events
    .alarm
    .wake
    .wait_timeout_while(state, sleep, |state| !state.rung && !state.closed)
    .unwrap_or_else(PoisonError::into_inner);
  state.rung = false;
  !state.closed
}

fn sweep(events: &Arc<Events>) {
  lock(&events.alarm.state).sweeping = true;
  let weak = Arc::downgrade(events);
  let then = move |result: Result<_, _>| {
    let Some(events) = weak.upgrade() else {
      return;
    };
    let now_ms = events.now_ms();
    let mut state = lock(&events.alarm.state);
    state.sweeping = false;
    let has_more = state.expires_at.is_some_and(|next| next <= now_ms);
    let pause = match result {
      // The file is locked, or can't be written.
      Err(_) => SWEEP_PAUSE,
      Ok(_) if has_more => SWEEP_PAUSE_MORE,
      Ok(_) if !events.watchers.is_empty() => SWEEP_PAUSE_WATCHED,
      Ok(_) => SWEEP_PAUSE,
    };
    state.sweep_after = Some(Instant::now() + pause);
    drop(state);
    events.alarm.ring();
  };
  // A sweep that a power failure undoes is made again: no sync.
  let job = super::task::Job::call(Task::Sweep, Durability::Relaxed, then);
  if events.submit(job).is_err() {
    lock(&events.alarm.state).sweeping = false;
  }
}

/// What a glance needs, kept for the next.
struct Glancer {
  connection: Connection,
  count: Count,
}

/// Looks what other processes have done. An error is left to those who read and write: they hear it
/// themselves, and the next glance comes soon.
fn glance(path: &Path, kept: &mut Option<Glancer>, events: &Arc<Events>) {
  if kept.is_none() {
    *kept = connect::reader(path, connect::PAGE_CACHE, 0)
      .ok()
      .map(|connection| Glancer {
        connection,
        count: Count::default(),
      });
  }
  if let Some(glancer) = kept
    && look(glancer, events).is_err()
  {
    *kept = None;
  }
}

fn look(glancer: &mut Glancer, events: &Arc<Events>) -> rusqlite::Result<()> {
  let Glancer { connection, count } = glancer;
  // A read comes first: without one, the connection has not looked for a log.
  if let Some(expires_at) = first(connection, NEXT_EXPIRY)? {
    events.note_expiry(expires_at);
  }
  let number = || counter::read(connection);
  if events.news.glance(|| count.now(connection, number))? {
    events.watchers.raise_all();
  }
  if events.dispatcher.is_listened_to() {
    if let Some(due_at) = first(connection, NEXT_DUE)? {
      events.dispatcher.note_due(due_at);
    }
    if queue::has_lost(connection, events.now_ms())? {
      // Where the clock was set forward, the deadlines of those who live have passed as well.
      Dispatcher::beat(events);
      Dispatcher::reclaim(events);
    }
  }
  Ok(())
}
