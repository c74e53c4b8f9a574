//! Gives messages to those who listen: each to one of them, in the order they are due.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::events::Events;
use super::registry::lock;
use super::task::{Job, Outcome, Running, Taken, Task};
use crate::engine::{
  Answer, Durability, Listener, Message, MessageId, Reply, StoreError, answer_channel,
};

/// Messages taken in one transaction.
const TAKE: usize = 100;

/// After an error that may pass, a locked file for one, the next try comes so many milliseconds later.
const RETRY_MS: u64 = 100;

/// How long after the write lock was free a message that seems lost is left to its owner: an owner that waits for
/// the lock asks for it every 100 ms.
const RECLAIM_GRACE: Duration = Duration::from_millis(400);

#[derive(Default)]
pub(super) struct Dispatcher {
  state: Mutex<State>,
}

#[derive(Default)]
struct State {
  /// Those who listen.
  listeners: usize,
  /// Those of them who wait for messages, the one who has waited longest first.
  waiting: VecDeque<Waiting>,
  /// Messages are being taken.
  taking: bool,
  /// When the first message is due, as far as known.
  due_at: Option<u64>,
  /// What this process is delivering.
  running: HashMap<String, Delivery>,
  /// New deadlines for these are being written.
  beating: bool,
  /// Messages whose process seems to have died, and when the write lock was free last: a process that lives
  /// has written a new deadline soon after.
  lost: Option<(Vec<Running>, Instant)>,
  /// They are being looked for, or taken back.
  reclaiming: bool,
  closed: bool,
}

struct Delivery {
  /// In the file.
  deadline: u64,
  listener: u64,
}

struct Waiting {
  listener: u64,
  max: usize,
  reply: Reply<Vec<Message>>,
}

impl Dispatcher {
  /// Whether anybody listens.
  pub(super) fn is_listened_to(&self) -> bool {
    lock(&self.state).listeners > 0
  }

  /// When there is something to do next: at this time a message is due, and somebody waits for one.
  pub(super) fn next(&self) -> Option<u64> {
    let state = lock(&self.state);
    if state.waiting.is_empty() || state.taking {
      return None;
    }
    state.due_at
  }

  /// A message is due at this time.
  pub(super) fn note_due(&self, due_at: u64) {
    let mut state = lock(&self.state);
    state.due_at = Some(state.due_at.map_or(due_at, |known| known.min(due_at)));
  }

  /// Whether anything is being delivered.
  pub(super) fn is_delivering(&self) -> bool {
    !lock(&self.state).running.is_empty()
  }

  /// What is being delivered.
  fn running(&self) -> Vec<Running> {
    let state = lock(&self.state);
    let running = state.running.iter().map(|(id, delivery)| Running {
      id: id.clone(),
      deadline: delivery.deadline,
    });
    running.collect()
  }

  /// The deliveries have a new deadline in the file.
  pub(super) fn beaten(&self, renewed: &[Running]) {
    let mut state = lock(&self.state);
    for message in renewed {
      if let Some(known) = state.running.get_mut(&message.id) {
        known.deadline = message.deadline;
      }
    }
  }

  /// Writes a new deadline for what is being delivered. One such write waits at a time: where another process
  /// has the write lock, it is due as soon as the lock is free.
  pub(super) fn beat(events: &Arc<Events>) {
    let running = events.dispatcher.running();
    if running.is_empty() || std::mem::replace(&mut lock(&events.dispatcher.state).beating, true) {
      return;
    }
    let weak = Arc::downgrade(events);
    let then = move |result| {
      if let Some(events) = weak.upgrade() {
        lock(&events.dispatcher.state).beating = false;
        if matches!(result, Err(StoreError::Locked { .. })) {
          Self::beat(&events);
        }
      }
    };
    let job = Job::call(Task::Heartbeat(running), Durability::Relaxed, then);
    if events.submit(job).is_err() {
      lock(&events.dispatcher.state).beating = false;
    }
  }

  /// These messages seem to be lost, and the write lock is free.
  pub(super) fn noticed(&self, messages: &[Running]) {
    let lost = (!messages.is_empty()).then(|| (messages.to_vec(), Instant::now()));
    lock(&self.state).lost = lost;
  }

  /// Takes messages of processes that have died back: notices them first, and leaves living owners that have
  /// waited for the write lock the time to renew their deadlines.
  pub(super) fn reclaim(events: &Arc<Events>) {
    let task = {
      let mut state = lock(&events.dispatcher.state);
      if state.reclaiming {
        return;
      }
      let task = match state.lost.take() {
        Some(lost) if lost.1.elapsed() < RECLAIM_GRACE => {
          state.lost = Some(lost);
          return;
        }
        Some((noticed, at)) if at.elapsed() < 2 * RECLAIM_GRACE => Task::Reclaim {
          noticed,
          asked: Instant::now(),
        },
        // Never noticed, or so long ago that the lock may have been held since.
        _ => Task::NoticeLost,
      };
      state.reclaiming = true;
      task
    };
    let weak = Arc::downgrade(events);
    let then = move |_| {
      if let Some(events) = weak.upgrade() {
        lock(&events.dispatcher.state).reclaiming = false;
      }
    };
    if events
      .submit(Job::call(task, Durability::Relaxed, then))
      .is_err()
    {
      lock(&events.dispatcher.state).reclaiming = false;
    }
  }

  /// Ends all who wait.
  pub(super) fn close(&self) {
    let mut state = lock(&self.state);
    state.closed = true;
    for waiting in std::mem::take(&mut state.waiting) {
      // Nobody waits, or it is told.
      let _ = waiting.reply.send(Err(StoreError::Stopped));
    }
  }

  /// Takes messages, if some are due, and somebody waits.
  pub(super) fn pump(events: &Arc<Events>) {
    let dispatcher = &events.dispatcher;
    let now_ms = events.now_ms();
    let max = {
      let mut state = lock(&dispatcher.state);
      state.waiting.retain(|waiting| !waiting.reply.is_closed());
      let is_due = state.due_at.is_some_and(|due_at| due_at <= now_ms);
      if state.waiting.is_empty() || state.taking || state.closed || !is_due {
        return;
      }
      state.taking = true;
      let wanted: usize = state.waiting.iter().map(|waiting| waiting.max).sum();
      wanted.min(TAKE)
    };
    let weak = Arc::downgrade(events);
    let then = move |result| {
      if let Some(events) = weak.upgrade() {
        Self::taken(&events, result);
      }
    };
    // A taking that a power failure undoes is a delivery that is tried again: no sync.
    let job = Job::call(Task::Take { max }, Durability::Relaxed, then);
    if let Err(error) = events.submit(job) {
      Self::taken(events, Err(error));
    }
  }

  fn taken(events: &Arc<Events>, result: Result<Outcome, StoreError>) {
    let left = lock(&events.dispatcher.state).taken(result, events.now_ms());
    if !left.is_empty() {
      // Those who had waited have gone.
      events.call(Task::PutBack(left), Durability::Relaxed);
    }
    events.alarm.ring();
    Self::pump(events);
  }

  fn forget(&self, id: &str) -> Option<u64> {
    let delivery = lock(&self.state).running.remove(id);
    delivery.map(|delivery| delivery.deadline)
  }
}

impl State {
  /// Messages were taken, or could not be; returns what nobody wants.
  fn taken(&mut self, result: Result<Outcome, StoreError>, now_ms: u64) -> Vec<Running> {
    self.taking = false;
    match result {
      Ok(Outcome::Taken { messages, next_due }) => {
        self.due_at = next_due;
        return self.give_out(messages);
      }
      Ok(_) => {}
      Err(StoreError::Locked { .. }) => self.due_at = Some(now_ms + RETRY_MS),
      Err(error) => {
        for waiting in std::mem::take(&mut self.waiting) {
          // Nobody waits, or it is told.
          let _ = waiting.reply.send(Err(error.clone()));
        }
      }
    }
    Vec::new()
  }

  /// Gives messages to those who wait, as many to each; returns what nobody wants.
  fn give_out(&mut self, messages: Vec<Taken>) -> Vec<Running> {
    let mut messages = VecDeque::from(messages);
    while !messages.is_empty()
      && let Some(waiting) = self.waiting.pop_front()
    {
      if waiting.reply.is_closed() {
        continue;
      }
      let share = messages.len().div_ceil(self.waiting.len() + 1);
      let given: Vec<Message> = messages
        .drain(..share.min(waiting.max).min(messages.len()))
        .map(|taken| {
          let Running { id, deadline } = taken.running;
          let listener = waiting.listener;
          self
            .running
            .insert(id.clone(), Delivery { deadline, listener });
          Message {
            id: MessageId(id),
            payload: taken.payload,
          }
        })
        .collect();
      if let Err(Ok(given)) = waiting.reply.send(Ok(given)) {
        // Gone in this very moment.
        for message in given.into_iter().rev() {
          let MessageId(id) = message.id;
          let delivery = self.running.remove(&id);
          let deadline = delivery.map_or(0, |delivery| delivery.deadline);
          messages.push_front(Taken {
            running: Running { id, deadline },
            payload: message.payload,
          });
        }
      }
    }
    messages.into_iter().map(|taken| taken.running).collect()
  }
}

/// One who listens to a database's queue.
pub(super) struct QueueListener<Owner> {
  id: u64,
  events: Weak<Events>,
  durability: Durability,
  closed: AtomicBool,
  /// The database stays open while somebody has messages to finish.
  _owner: Owner,
}

static LAST_LISTENER: AtomicU64 = AtomicU64::new(0);

impl<Owner> QueueListener<Owner> {
  pub(super) fn new(events: &Arc<Events>, durability: Durability, owner: Owner) -> Self {
    lock(&events.dispatcher.state).listeners += 1;
    // Others may have put messages there before anybody listened here.
    events.dispatcher.note_due(0);
    events.start_caretaker();
    Self {
      id: LAST_LISTENER.fetch_add(1, Ordering::Relaxed),
      events: Arc::downgrade(events),
      durability,
      closed: AtomicBool::new(false),
      _owner: owner,
    }
  }
}

impl<Owner: Send + Sync> Listener for QueueListener<Owner> {
  fn receive(&self, max: usize) -> Answer<Vec<Message>> {
    let Some(events) = self.events.upgrade() else {
      return Answer::Now(Err(StoreError::Stopped));
    };
    let (reply, answer) = answer_channel(None);
    {
      let mut state = lock(&events.dispatcher.state);
      if state.closed || self.closed.load(Ordering::Acquire) {
        return Answer::Now(Err(StoreError::Stopped));
      }
      state.waiting.push_back(Waiting {
        listener: self.id,
        max: max.max(1),
        reply,
      });
    }
    Dispatcher::pump(&events);
    events.alarm.ring();
    answer
  }

  fn finish(&self, id: MessageId, delivered: bool) -> Answer<()> {
    let Some(events) = self.events.upgrade() else {
      return Answer::Now(Err(StoreError::Stopped));
    };
    let MessageId(id) = id;
    let Some(deadline) = events.dispatcher.forget(&id) else {
      // It was finished before.
      return Answer::Now(Ok(()));
    };
    let task = Task::Finish {
      running: Running { id, deadline },
      delivered,
    };
    let (reply, answer) = answer_channel(events.driver());
    let job = Job::call(task, self.durability, move |result| {
      // Nobody waits any more: the runtime is gone.
      let _ = reply.send(result.map(|_| ()));
    });
    match events.submit_led(job) {
      Ok(()) => answer,
      Err(error) => Answer::Now(Err(error)),
    }
  }

  fn close(&self) {
    if let Some(events) = self.events.upgrade() {
      let mut state = lock(&events.dispatcher.state);
      // Under the lock: nobody begins to wait afterwards.
      self.closed.store(true, Ordering::Release);
      let (own, others) = std::mem::take(&mut state.waiting)
        .into_iter()
        .partition::<VecDeque<_>, _>(|waiting| waiting.listener == self.id);
      state.waiting = others;
      for waiting in own {
        let _ = waiting.reply.send(Err(StoreError::Stopped));
      }
    }
  }
}

impl<Owner> Drop for QueueListener<Owner> {
  fn drop(&mut self) {
    let Some(events) = self.events.upgrade() else {
      return;
    };
    let left: Vec<_> = {
      let mut state = lock(&events.dispatcher.state);
      state.listeners -= 1;
      let left = state
        .running
        .extract_if(|_, delivery| delivery.listener == self.id);
      left
        .map(|(id, delivery)| Running {
          id,
          deadline: delivery.deadline,
        })
        .collect()
    };
    if !left.is_empty() {
      // Others are to have what nobody will finish any more.
      events.call(Task::PutBack(left), Durability::Relaxed);
    }
  }
}
