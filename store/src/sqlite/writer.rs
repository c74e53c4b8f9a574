//! Who commits, and what is committed together.
//!
//! The write connection is one [`Committer`]. It lies in the [`Writer`] while nobody commits, and
//! whoever takes it out is the leader: it commits everything that waits, as one transaction with
//! one sync, and answers it all.
//!
//! A leader is one of those who wait, if commits are fast enough for that: it would do nothing else
//! meanwhile, and waking a thread and being woken by it costs a third of what a fast disk's sync
//! does. Else it is the writer thread: for groups too large for an event loop to be held up by,
//! while syncs are slow, while another process holds the write lock, and for what arrives while
//! another leader is at work. The thread also takes what nobody has waited for in time: a commit
//! needs nobody's help to happen.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::committer::{Attempt, Committer};
use super::events::Host;
use super::registry::lock;
use super::task::Job;
use super::thread;
use crate::engine::{Drive, StoreError};

/// A group commit takes no more writes than this …
const GROUP_WRITES: usize = 1024;
/// … and, once it holds so many bytes, no further one: readers of a large WAL are slow.
const GROUP_BYTES: usize = 8 << 20;

/// The limits of a group that somebody who waits commits. Larger ones hold up an event loop for
/// longer.
const LED_WRITES: usize = 16;
const LED_BYTES: usize = 128 << 10;

/// So many bytes may wait; whoever writes more waits until there is room.
const WAITING_BYTES: usize = 64 << 20;

/// The thread begins with so much before anybody waits: it gains more by working beside whoever
/// writes than by one sync for all. With less it would begin with the first of some writes that come at
/// once, and need a second sync for the others.
const EARLY_WRITES: usize = 128;
const EARLY_BYTES: usize = 1 << 20;

/// Where commits take longer than this, nobody is held up by one: the thread makes them all.
const LED_COMMIT_TIME: Duration = Duration::from_millis(1);
/// One commit counts as no more, however long it took: it may have waited for another process.
const MAX_COMMIT_TIME: Duration = Duration::from_millis(8);

/// How long a write waits for somebody to lead before the thread does.
const PATIENCE: Duration = Duration::from_millis(2);

/// So many times in a row the thread looks for such writes in vain before it sleeps for good. While
/// writes come one after another it need not be woken for each.
const IDLE_LOOKS: u32 = 50;

/// The writes that wait for one file, and the connection that commits them.
pub(super) struct Writer {
  path: PathBuf,
  state: Mutex<State>,
  /// For the thread: there is something to do for it.
  wake: Condvar,
  /// For who closes: the thread has ended.
  ended: Condvar,
  /// For who writes much: a group has been taken out.
  room: Condvar,
}

/// What the writer thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
  /// Nothing was ever written.
  NotStarted,
  /// It commits, or looks at short intervals what is there.
  Awake,
  /// It waits until it is woken.
  Asleep,
  /// The file is closed.
  Ended,
}

struct State {
  jobs: VecDeque<Job>,
  bytes: usize,
  /// `None` while somebody commits, and in the end.
  committer: Option<Committer>,
  /// The jobs are the thread's.
  for_thread: bool,
  thread: Thread,
  /// How long the last commits of small groups took, on average.
  commit_time: Duration,
  /// How many writes the last commit took.
  last_group: usize,
  /// No more jobs come; the thread ends when it has done those that are there.
  closing: bool,
}

impl Writer {
  pub(super) fn new(path: PathBuf, committer: Committer) -> Self {
    Self {
      path,
      state: Mutex::new(State {
        jobs: VecDeque::new(),
        bytes: 0,
        committer: Some(committer),
        for_thread: false,
        thread: Thread::NotStarted,
        commit_time: Duration::ZERO,
        last_group: 0,
        closing: false,
      }),
      wake: Condvar::new(),
      ended: Condvar::new(),
      room: Condvar::new(),
    }
  }

  /// Hands a job over. It will be done. If nobody will wait for it, the thread begins at once.
  ///
  /// # Errors
  /// The thread can't be started. Then nothing of the job is kept.
  pub(super) fn submit(self: &Arc<Self>, job: Job, somebody_waits: bool) -> Result<(), StoreError> {
    let mut state = lock(&self.state);
    // Nobody may come to lead; then the thread has to be awake.
    match state.thread {
      Thread::NotStarted => {
        let shared = self.clone();
        thread::spawn(&self.path, "kv-writer", move || shared.run())?;
        state.thread = Thread::Awake;
      }
      Thread::Asleep => self.wake_thread(&mut state),
      Thread::Awake | Thread::Ended => {}
    }
    state.bytes += job.bytes;
    state.jobs.push_back(job);
    let is_much = state.jobs.len() >= EARLY_WRITES || state.bytes >= EARLY_BYTES;
    if (is_much || !somebody_waits) && !state.for_thread {
      self.give_to_thread(&mut state);
    }
    Ok(())
  }

  /// Waits while the writes that nobody has committed yet hold more memory than they may: a script that
  /// asks for one after another without awaiting any would fill it.
  pub(super) fn wait_for_room(&self) {
    let mut state = lock(&self.state);
    if state.bytes < WAITING_BYTES {
      return;
    }
    self.give_to_thread(&mut state);
    let state = self
      .room
      .wait_while(state, |state| state.bytes >= WAITING_BYTES)
      .unwrap_or_else(PoisonError::into_inner);
    drop(state);
  }

  fn wake_thread(&self, state: &mut State) {
    state.thread = Thread::Awake;
    self.wake.notify_one();
  }

  fn give_to_thread(&self, state: &mut State) {
    state.for_thread = true;
    self.wake_thread(state);
  }

  /// Closes the connection, once everything that was handed over is committed. Waits for that, but
  /// no longer than `timeout`: where another process keeps the file locked, the thread goes on alone.
  pub(super) fn close(&self, timeout: Duration) {
    let mut state = lock(&self.state);
    if state.thread == Thread::Ended {
      return;
    }
    state.closing = true;
    if state.thread == Thread::NotStarted {
      let committer = state.committer.take();
      drop(state);
      drop(committer);
      return;
    }
    self.give_to_thread(&mut state);
    let (state, _timed_out) = self
      .ended
      .wait_timeout_while(state, timeout, |state| state.thread != Thread::Ended)
      .unwrap_or_else(PoisonError::into_inner);
    drop(state);
  }

  /// What the thread does, until the writer is closed.
  fn run(&self) {
    let mut state = lock(&self.state);
    loop {
      state = self.wait_for_work(state);
      let group = state.take_group(GROUP_WRITES, GROUP_BYTES);
      let Some(mut committer) = state.committer.take() else {
        // `wait_for_work` returns when it is there.
        return;
      };
      if group.is_empty() {
        drop(state);
        // Closes the connection. The last one to a file moves the log into it, and removes the log.
        drop(committer);
        lock(&self.state).thread = Thread::Ended;
        self.ended.notify_all();
        return;
      }
      drop(state);
      self.room.notify_all();
      let (writes, started) = (group.len(), Instant::now());
      committer.commit(group);
      state = lock(&self.state);
      state.put_back(committer, writes, started.elapsed());
    }
  }

  /// Waits until there is a committer, and jobs for the thread or the end.
  fn wait_for_work<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    let mut idle_looks = 0;
    loop {
      let overdue = state
        .jobs
        .front()
        .is_some_and(|job| job.submitted.elapsed() >= PATIENCE);
      if state.committer.is_some()
        && (state.closing || !state.jobs.is_empty() && (state.for_thread || overdue))
      {
        return state;
      }
      if state.jobs.is_empty() {
        idle_looks += 1;
      } else {
        idle_looks = 0;
      }
      // A leader that is done wakes the thread if there is something for it.
      if idle_looks > IDLE_LOOKS {
        state.thread = Thread::Asleep;
        state = self
          .wake
          .wait(state)
          .unwrap_or_else(PoisonError::into_inner);
        idle_looks = 0;
      } else {
        state = self
          .wake
          .wait_timeout(state, PATIENCE)
          .unwrap_or_else(PoisonError::into_inner)
          .0;
      }
    }
  }
}

impl Host for Writer {
  fn submit(self: Arc<Self>, job: Job, somebody_waits: bool) -> Result<(), StoreError> {
    Writer::submit(&self, job, somebody_waits)
  }
}

impl Drive for Writer {
  /// Commits what waits, if nobody does and it is small.
  fn drive(&self) {
    let mut state = lock(&self.state);
    if state.for_thread || state.jobs.is_empty() {
      return;
    }
    if !state.can_be_led() {
      return self.give_to_thread(&mut state);
    }
    let Some(mut committer) = state.committer.take() else {
      return;
    };
    let group = state.take_group(LED_WRITES, LED_BYTES);
    drop(state);
    let (writes, started) = (group.len(), Instant::now());
    let attempt = committer.try_commit(group);
    let mut state = lock(&self.state);
    match attempt {
      Attempt::Answered => state.put_back(committer, writes, started.elapsed()),
      Attempt::Locked(group) => {
        state.committer = Some(committer);
        state.return_group(group);
        self.give_to_thread(&mut state);
      }
    }
    // What came meanwhile, or was too much. Those who wait for it have found the place taken.
    if !state.jobs.is_empty() || state.closing {
      self.give_to_thread(&mut state);
    }
  }

  fn is_alone(&self) -> bool {
    let state = lock(&self.state);
    state.jobs.len() == 1 && state.last_group == 1 && !state.for_thread && state.can_be_led()
  }
}

impl State {
  /// Whether one who waits may commit what is there.
  fn can_be_led(&self) -> bool {
    self.jobs.len() <= LED_WRITES
      && self.bytes <= LED_BYTES
      && self.commit_time <= LED_COMMIT_TIME
      && !self.committer.as_ref().is_some_and(Committer::wants_pause)
  }

  /// The first jobs, at least one if there is one.
  fn take_group(&mut self, max_writes: usize, max_bytes: usize) -> Vec<Job> {
    let mut group = Vec::with_capacity(self.jobs.len().min(max_writes));
    let mut bytes = 0;
    while group.len() < max_writes
      && bytes < max_bytes
      && let Some(job) = self.jobs.pop_front()
    {
      bytes += job.bytes;
      group.push(job);
    }
    self.bytes -= bytes;
    group
  }

  fn return_group(&mut self, group: Vec<Job>) {
    for job in group.into_iter().rev() {
      self.bytes += job.bytes;
      self.jobs.push_front(job);
    }
  }

  fn put_back(&mut self, committer: Committer, writes: usize, took: Duration) {
    self.committer = Some(committer);
    self.last_group = writes;
    if writes <= LED_WRITES {
      self.commit_time = (self.commit_time * 7 + took.min(MAX_COMMIT_TIME)) / 8;
    }
    if self.jobs.is_empty() {
      self.for_thread = false;
    }
  }
}

#[cfg(test)]
mod tests {
  use super::*;
  use crate::engine::{
    Answer, AtomicWrite, CommitOutcome, Durability, Mutation, MutationKind, answer_channel,
  };
  use crate::sqlite::events::Events;
  use crate::sqlite::{SqliteOptions, connect};
  use crate::value::Value;
  use crate::versionstamp::Versionstamp;

  /// A writer whose thread does not run, and its folder.
  fn without_thread() -> (Arc<Writer>, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let opened = connect::writer(&path, Duration::ZERO).unwrap();
    let options = SqliteOptions::default();
    let events = Events::new(options.clock.clone(), None);
    let committer = Committer::new(path.clone(), opened.connection, options, events);
    let writer = Writer::new(path, committer);
    lock(&writer.state).thread = Thread::Awake;
    (Arc::new(writer), folder)
  }

  fn submit(writer: &Arc<Writer>, value_bytes: usize) -> Answer<CommitOutcome> {
    let (reply, answer) = answer_channel(None);
    let mutation = Mutation {
      key: b"key".to_vec(),
      kind: MutationKind::Set(Value::Bytes(vec![0; value_bytes])),
      expire_at: None,
    };
    let write = AtomicWrite {
      mutations: vec![mutation],
      ..AtomicWrite::default()
    };
    writer
      .submit(Job::write(write, Durability::Relaxed, reply), true)
      .unwrap();
    answer
  }

  fn waits(writer: &Writer) -> usize {
    lock(&writer.state).jobs.len()
  }

  #[test]
  fn who_waits_commits_all_that_waits() {
    let (writer, _folder) = without_thread();
    let answers: Vec<_> = (0..LED_WRITES).map(|_| submit(&writer, 10)).collect();
    writer.drive();
    assert_eq!(waits(&writer), 0);
    for (answer, version) in answers.into_iter().zip(1..) {
      let expected = CommitOutcome::Committed(Versionstamp::from_version(version));
      assert_eq!(answer.wait_blocking().unwrap(), expected);
    }
  }

  #[test]
  fn what_takes_long_is_left_to_the_thread() {
    let (writer, _folder) = without_thread();
    let many: Vec<_> = (0..LED_WRITES + 1).map(|_| submit(&writer, 10)).collect();
    writer.drive();
    assert_eq!(waits(&writer), many.len());
    assert!(lock(&writer.state).for_thread);

    let (writer, _folder) = without_thread();
    let _large = submit(&writer, LED_BYTES + 1);
    writer.drive();
    assert_eq!(waits(&writer), 1);
    assert!(lock(&writer.state).for_thread);

    let (writer, _folder) = without_thread();
    lock(&writer.state).commit_time = LED_COMMIT_TIME * 2;
    let _slow = submit(&writer, 10);
    writer.drive();
    assert_eq!(waits(&writer), 1);
    assert!(lock(&writer.state).for_thread);
  }

  #[test]
  fn what_comes_while_another_commits_is_for_the_thread() {
    let (writer, _folder) = without_thread();
    let committer = lock(&writer.state).committer.take().unwrap();
    let _answer = submit(&writer, 10);
    writer.drive();
    assert_eq!(waits(&writer), 1);
    // What the leader does when it is done; the one who waited will not come again.
    let mut state = lock(&writer.state);
    state.put_back(committer, 1, Duration::ZERO);
    assert!(!state.jobs.is_empty());
  }

  #[test]
  fn a_write_is_alone_after_one_that_was() {
    let (writer, _folder) = without_thread();
    let mut commit = |writes: usize| {
      let answers: Vec<_> = (0..writes).map(|_| submit(&writer, 10)).collect();
      let is_alone = writer.is_alone();
      writer.drive();
      answers.into_iter().for_each(|answer| {
        let _ = answer.wait_blocking().unwrap();
      });
      is_alone
    };
    let groups = [1, 1, 1, 2, 1, 1, 3, 3, 1, 1];
    let alone = groups.map(&mut commit);
    assert_eq!(
      alone,
      [
        false, true, true, false, false, true, false, false, false, true
      ]
    );
  }

  #[test]
  fn one_slow_commit_does_not_count_for_ever() {
    let (writer, _folder) = without_thread();
    let mut state = lock(&writer.state);
    for (took, commits) in [
      (Duration::from_secs(10), 1),
      (Duration::from_micros(100), 40),
    ] {
      for _ in 0..commits {
        let committer = state.committer.take().unwrap();
        state.put_back(committer, 1, took);
      }
    }
    assert!(state.can_be_led());
  }
}
