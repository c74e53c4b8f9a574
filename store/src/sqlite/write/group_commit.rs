//! Decides which thread commits, and which tasks are committed together.
//!
//! The write connection lies in [`GroupCommit`] while nobody commits. The thread that takes it out is the leader: it
//! commits everything that waits, as one transaction with one sync, and answers it all.
//!
//! The leader is one of the callers that wait, if commits are fast enough: it would do nothing else meanwhile, and
//! waking a thread and being woken by it costs a third of what a fast disk's sync does. Otherwise it is the writer
//! thread: for groups too large for an event loop to be held up by, while syncs are slow, while another process holds
//! the write lock, and for jobs that arrive while another leader is at work. The thread also commits what no caller has
//! led in time, so a commit needs nobody's help to happen. Callers lead by [`Leader::lead`], which
//! [`Answer`](crate::engine::Answer) calls.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::{Attempt, WriteConnection};
use super::{Executor, Job};
use crate::engine::{Leader, Stats, StoreError};
use crate::sqlite::mutex::lock;
use crate::sqlite::thread;

/// A group commit takes no more writes than this …
const GROUP_WRITES: usize = 1024;
/// … and, once it holds so many bytes, no further one: readers of a large WAL are slow.
const GROUP_BYTES: usize = 8 << 20;

/// The limits of a group that a caller leads. Larger ones would hold up an event loop for longer.
const LED_WRITES: usize = 16;
const LED_BYTES: usize = 128 << 10;

/// So many bytes may wait; a caller with more waits until there is room.
const WAITING_BYTES: usize = 64 << 20;

/// With so much waiting the thread begins without waiting for a leader: it gains more by working beside the caller
/// than by one sync for all. With less it would begin with the first of some writes that come at once, and need a
/// second sync for the others.
const EARLY_WRITES: usize = 128;
const EARLY_BYTES: usize = 1 << 20;

/// Where commits take longer than this, the thread makes them all, so that no caller is held up.
const LED_COMMIT_TIME: Duration = Duration::from_millis(1);
/// One commit counts as no more, however long it took: it may have waited for another process.
const MAX_COMMIT_TIME: Duration = Duration::from_millis(8);

/// How long a job waits for a caller to lead before the thread does.
const PATIENCE: Duration = Duration::from_millis(2);

/// So many times in a row the thread looks for such jobs in vain before it sleeps until it is woken. While
/// writes come one after another it need not be woken for each.
const IDLE_LOOKS: u32 = 50;

/// The jobs that wait for one file, and the connection that commits them.
pub(crate) struct GroupCommit {
  path: PathBuf,
  waiting: Mutex<Waiting>,
  /// Wakes the thread: there is something for it to do.
  wake: Condvar,
  /// Wakes whoever closes: the thread has ended.
  ended: Condvar,
  /// Wakes whoever waits for room: a group has been taken out.
  room: Condvar,
}

/// What the writer thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
  /// There was never anything to do.
  NotStarted,
  /// It commits, or looks at short intervals what is there.
  Awake,
  /// It waits until it is woken.
  Asleep,
  /// The file is closed.
  Ended,
}

struct Waiting {
  jobs: VecDeque<Job>,
  bytes: usize,
  /// `None` while somebody commits, and in the end.
  connection: Option<WriteConnection>,
  /// The jobs are the thread's.
  is_for_thread: bool,
  thread: Thread,
  /// How long the last commits of small groups took, on average.
  commit_time: Duration,
  /// How many writes the last commit took.
  last_group: usize,
  /// No more jobs come; the thread ends when it has done those that are there.
  closing: bool,
  totals: Totals,
}

/// What was committed so far.
#[derive(Clone, Copy, Default)]
struct Totals {
  commits: u64,
  tasks: u64,
  largest_group: u64,
  time: Duration,
  slowest: Duration,
  /// Of the log, after the last commit.
  log_bytes: u64,
  checkpoints: u64,
}

impl GroupCommit {
  pub(crate) fn new(path: PathBuf, connection: WriteConnection) -> Self {
    Self {
      path,
      waiting: Mutex::new(Waiting {
        jobs: VecDeque::new(),
        bytes: 0,
        connection: Some(connection),
        is_for_thread: false,
        thread: Thread::NotStarted,
        commit_time: Duration::ZERO,
        last_group: 0,
        closing: false,
        totals: Totals::default(),
      }),
      wake: Condvar::new(),
      ended: Condvar::new(),
      room: Condvar::new(),
    }
  }

  /// Adds what this knows to `stats`.
  pub(crate) fn add_stats(&self, stats: &mut Stats) {
    let waiting = lock(&self.waiting);
    let totals = &waiting.totals;
    stats.commits = totals.commits;
    stats.tasks = totals.tasks;
    stats.largest_group = totals.largest_group;
    stats.commit_time = totals.time;
    stats.slowest_commit = totals.slowest;
    stats.log_bytes = totals.log_bytes;
    stats.checkpoints = totals.checkpoints;
    stats.waiting_tasks = waiting.jobs.len() as u64;
    stats.waiting_bytes = waiting.bytes as u64;
  }

  /// Waits while the jobs hold more memory than they may: a script that asks for one write after another without
  /// awaiting any would fill it.
  pub(crate) fn wait_for_room(&self) {
    let mut waiting = lock(&self.waiting);
    if waiting.bytes < WAITING_BYTES {
      return;
    }
    self.give_to_thread(&mut waiting);
    let waiting = self
      .room
      .wait_while(waiting, |waiting| waiting.bytes >= WAITING_BYTES)
      .unwrap_or_else(PoisonError::into_inner);
    drop(waiting);
  }

  fn wake_thread(&self, waiting: &mut Waiting) {
    waiting.thread = Thread::Awake;
    self.wake.notify_one();
  }

  fn give_to_thread(&self, waiting: &mut Waiting) {
    waiting.is_for_thread = true;
    self.wake_thread(waiting);
  }

  /// Closes the connection, once everything that was handed over is committed. Waits for that, but
  /// no longer than `timeout`: where another process keeps the file locked, the thread goes on alone.
  pub(crate) fn close(&self, timeout: Duration) {
    let mut waiting = lock(&self.waiting);
    if waiting.thread == Thread::Ended {
      return;
    }
    waiting.closing = true;
    if waiting.thread == Thread::NotStarted {
      let connection = waiting.connection.take();
      drop(waiting);
      drop(connection);
      return;
    }
    self.give_to_thread(&mut waiting);
    let (waiting, _timed_out) = self
      .ended
      .wait_timeout_while(waiting, timeout, |waiting| waiting.thread != Thread::Ended)
      .unwrap_or_else(PoisonError::into_inner);
    drop(waiting);
  }

  /// What the thread does, until the writer is closed.
  fn run(&self) {
    let mut waiting = lock(&self.waiting);
    loop {
      waiting = self.wait_for_work(waiting);
      let group = waiting.take_group(GROUP_WRITES, GROUP_BYTES);
      let Some(mut connection) = waiting.connection.take() else {
        // `wait_for_work` returns when it is there.
        return;
      };
      if group.is_empty() {
        drop(waiting);
        // Closes the connection. The last one to a file moves the log into it, and removes the log.
        drop(connection);
        lock(&self.waiting).thread = Thread::Ended;
        self.ended.notify_all();
        return;
      }
      drop(waiting);
      self.room.notify_all();
      let (writes, started) = (group.len(), Instant::now());
      connection.commit(group);
      waiting = lock(&self.waiting);
      waiting.put_back(connection, writes, started.elapsed());
    }
  }

  /// Waits until there is a connection, and jobs for the thread or the end.
  fn wait_for_work<'a>(&self, mut waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
    let mut idle_looks = 0;
    loop {
      let overdue = waiting
        .jobs
        .front()
        .is_some_and(|job| job.submitted.elapsed() >= PATIENCE);
      if waiting.connection.is_some()
        && (waiting.closing || !waiting.jobs.is_empty() && (waiting.is_for_thread || overdue))
      {
        return waiting;
      }
      if waiting.jobs.is_empty() {
        idle_looks += 1;
      } else {
        idle_looks = 0;
      }
      // A leader that is done wakes the thread if there is something for it.
      if idle_looks > IDLE_LOOKS {
        waiting.thread = Thread::Asleep;
        waiting = self
          .wake
          .wait(waiting)
          .unwrap_or_else(PoisonError::into_inner);
        idle_looks = 0;
      } else {
        waiting = self
          .wake
          .wait_timeout(waiting, PATIENCE)
          .unwrap_or_else(PoisonError::into_inner)
          .0;
      }
    }
  }
}

impl Executor for GroupCommit {
  /// If no caller will lead, the thread begins at once.
  fn submit(self: Arc<Self>, job: Job, caller_leads: bool) -> Result<(), StoreError> {
    let mut waiting = lock(&self.waiting);
    if waiting.closing {
      return Err(StoreError::closed());
    }
    // The caller may be dropped before it leads; then the thread has to be awake.
    match waiting.thread {
      Thread::NotStarted => {
        let shared = self.clone();
        thread::spawn(&self.path, "kv-writer", move || shared.run())?;
        waiting.thread = Thread::Awake;
      }
      Thread::Asleep => self.wake_thread(&mut waiting),
      Thread::Awake | Thread::Ended => {}
    }
    waiting.bytes += job.bytes;
    waiting.jobs.push_back(job);
    let is_much = waiting.jobs.len() >= EARLY_WRITES || waiting.bytes >= EARLY_BYTES;
    if (is_much || !caller_leads) && !waiting.is_for_thread {
      self.give_to_thread(&mut waiting);
    }
    Ok(())
  }
}

impl Leader for GroupCommit {
  /// Commits what waits, if nobody else does and it is small.
  fn lead(&self) {
    let mut waiting = lock(&self.waiting);
    if waiting.is_for_thread || waiting.jobs.is_empty() {
      return;
    }
    if !waiting.can_caller_lead() {
      return self.give_to_thread(&mut waiting);
    }
    let Some(mut connection) = waiting.connection.take() else {
      return;
    };
    let group = waiting.take_group(LED_WRITES, LED_BYTES);
    drop(waiting);
    let (writes, started) = (group.len(), Instant::now());
    let attempt = connection.try_commit(group);
    let mut waiting = lock(&self.waiting);
    match attempt {
      Attempt::Answered => waiting.put_back(connection, writes, started.elapsed()),
      Attempt::Locked(group) => {
        waiting.connection = Some(connection);
        waiting.return_group(group);
        self.give_to_thread(&mut waiting);
      }
    }
    // Jobs that came meanwhile, or were too many. Their callers have found the connection taken.
    if !waiting.jobs.is_empty() || waiting.closing {
      self.give_to_thread(&mut waiting);
    }
  }

  fn is_lone(&self) -> bool {
    let waiting = lock(&self.waiting);
    waiting.jobs.len() == 1
      && waiting.last_group == 1
      && !waiting.is_for_thread
      && waiting.can_caller_lead()
  }
}

impl Waiting {
  /// Whether a caller may commit what is there.
  fn can_caller_lead(&self) -> bool {
    self.jobs.len() <= LED_WRITES
      && self.bytes <= LED_BYTES
      && self.commit_time <= LED_COMMIT_TIME
      && !self
        .connection
        .as_ref()
        .is_some_and(WriteConnection::must_restart_log)
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

  fn put_back(&mut self, mut connection: WriteConnection, writes: usize, took: Duration) {
    let totals = &mut self.totals;
    totals.commits += 1;
    totals.tasks += writes as u64;
    totals.largest_group = totals.largest_group.max(writes as u64);
    totals.time += took;
    totals.slowest = totals.slowest.max(took);
    (totals.log_bytes, totals.checkpoints) = connection.log_stats();
    self.connection = Some(connection);
    self.last_group = writes;
    if writes <= LED_WRITES {
      self.commit_time = (self.commit_time * 7 + took.min(MAX_COMMIT_TIME)) / 8;
    }
    if self.jobs.is_empty() {
      self.is_for_thread = false;
    }
  }
}

#[cfg(test)]
mod tests {
  use super::*;
  use crate::engine::{Answer, AtomicWrite, CommitOutcome, Durability, Mutation, MutationKind};
  use crate::sqlite::options::SqliteOptions;
  use crate::sqlite::write::tests::connection_alone;
  use crate::value::Value;
  use crate::versionstamp::Versionstamp;

  /// A writer whose thread does not run, and its folder.
  fn without_thread() -> (Arc<GroupCommit>, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let connection = connection_alone(&path, SqliteOptions::default());
    let writer = GroupCommit::new(path, connection);
    lock(&writer.waiting).thread = Thread::Awake;
    (Arc::new(writer), folder)
  }

  fn submit(writer: &Arc<GroupCommit>, value_bytes: usize) -> Answer<CommitOutcome> {
    let (reply, answer) = Answer::queued(None);
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
      .clone()
      .submit(Job::write(write, Durability::Relaxed, reply), true)
      .unwrap();
    answer
  }

  fn waits(writer: &GroupCommit) -> usize {
    lock(&writer.waiting).jobs.len()
  }

  #[test]
  fn caller_commits_all_that_waits() {
    let (writer, _folder) = without_thread();
    let answers: Vec<_> = (0..LED_WRITES).map(|_| submit(&writer, 10)).collect();
    writer.lead();
    assert_eq!(waits(&writer), 0);
    for (answer, version) in answers.into_iter().zip(1..) {
      let expected = CommitOutcome::Committed(Versionstamp::from_version(version));
      assert_eq!(answer.wait_blocking().unwrap(), expected);
    }
  }

  #[test]
  fn slow_groups_are_left_to_the_thread() {
    let (writer, _folder) = without_thread();
    let many: Vec<_> = (0..LED_WRITES + 1).map(|_| submit(&writer, 10)).collect();
    writer.lead();
    assert_eq!(waits(&writer), many.len());
    assert!(lock(&writer.waiting).is_for_thread);

    let (writer, _folder) = without_thread();
    let _large = submit(&writer, LED_BYTES + 1);
    writer.lead();
    assert_eq!(waits(&writer), 1);
    assert!(lock(&writer.waiting).is_for_thread);

    let (writer, _folder) = without_thread();
    lock(&writer.waiting).commit_time = LED_COMMIT_TIME * 2;
    let _slow = submit(&writer, 10);
    writer.lead();
    assert_eq!(waits(&writer), 1);
    assert!(lock(&writer.waiting).is_for_thread);
  }

  #[test]
  fn jobs_during_a_commit_are_for_the_thread() {
    let (writer, _folder) = without_thread();
    let connection = lock(&writer.waiting).connection.take().unwrap();
    let _answer = submit(&writer, 10);
    writer.lead();
    assert_eq!(waits(&writer), 1);
    // What the leader does when it is done; the one who waited will not come again.
    let mut waiting = lock(&writer.waiting);
    waiting.put_back(connection, 1, Duration::ZERO);
    assert!(!waiting.jobs.is_empty());
  }

  #[test]
  fn lone_after_a_lone_commit() {
    let (writer, _folder) = without_thread();
    let mut commit = |writes: usize| {
      let answers: Vec<_> = (0..writes).map(|_| submit(&writer, 10)).collect();
      let is_alone = writer.is_lone();
      writer.lead();
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
  fn one_slow_commit_is_forgotten() {
    let (writer, _folder) = without_thread();
    let mut waiting = lock(&writer.waiting);
    for (took, commits) in [
      (Duration::from_secs(10), 1),
      (Duration::from_micros(100), 40),
    ] {
      for _ in 0..commits {
        let connection = waiting.connection.take().unwrap();
        waiting.put_back(connection, 1, took);
      }
    }
    assert!(waiting.can_caller_lead());
  }
}
