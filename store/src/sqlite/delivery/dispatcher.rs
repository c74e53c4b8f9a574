use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::engine::{
  Answer, Clock, Durability, ErrorKind, Leader, Message, MessageId, Reply, StoreError,
};
use crate::sqlite::alarm::Alarm;
use crate::sqlite::mutex::lock;
use crate::sqlite::queue::{Batch, LEASE, Lease, Taken};
use crate::sqlite::transaction::{Outcome, Task};
use crate::sqlite::write::{Executor, Job};

/// Messages taken in one transaction.
const TAKE: usize = 100;

/// After an error that may pass, a locked file for one, the next try comes so many milliseconds later.
const RETRY_MS: u64 = 100;

/// How long after the write lock was free a message with an expired lease is left to its owner: an owner that waits
/// for the lock asks for it every 100 ms.
const RECLAIM_GRACE: Duration = Duration::from_millis(400);

/// Gives messages to listeners: each to one of them, in the order they are due.
pub(crate) struct Dispatcher {
  state: Mutex<Deliveries>,
  clock: Arc<dyn Clock>,
  alarm: Arc<Alarm>,
  executor: Weak<dyn Executor>,
}

impl Running {
  fn new(deadline: u64, listener: u64) -> Self {
    Self {
      deadline,
      listener,
      is_ending: false,
    }
  }
}

#[derive(Default)]
struct Deliveries {
  listeners: HashSet<u64>,
  /// Listeners that wait for messages, the one that has waited longest first.
  waiting: VecDeque<Waiting>,
  /// Messages are being taken.
  is_taking: bool,
  /// When the first message is due, as far as known.
  due_at: Option<u64>,
  /// The messages that this process is delivering, by their ids.
  running: HashMap<String, Running>,
  /// Leases are being renewed.
  is_renewing: bool,
  /// Leases that have expired, and when the write lock was free last: a living process has renewed soon after.
  expired: Option<(Vec<Lease>, Instant)>,
  /// Expired leases are being looked for, or reclaimed.
  is_reclaiming: bool,
  is_closed: bool,
}

#[derive(Clone, Copy)]
struct Running {
  /// Of the lease, as it is in the file.
  deadline: u64,
  listener: u64,
  /// The end of the delivery was asked for.
  is_ending: bool,
}

struct Waiting {
  listener: u64,
  max: usize,
  reply: Reply<Vec<Message>>,
}

impl Dispatcher {
  pub(crate) fn new(
    clock: Arc<dyn Clock>,
    alarm: Arc<Alarm>,
    executor: Weak<dyn Executor>,
  ) -> Arc<Self> {
    Arc::new(Self {
      state: Mutex::default(),
      clock,
      alarm,
      executor,
    })
  }

  /// Whether anybody listens.
  pub(crate) fn is_listened_to(&self) -> bool {
    !lock(&self.state).listeners.is_empty()
  }

  /// How many listeners there are, and how many messages are being delivered.
  pub(crate) fn counts(&self) -> (usize, usize) {
    let state = lock(&self.state);
    (state.listeners.len(), state.running.len())
  }

  /// When messages are to be taken next: then one is due, and somebody waits for it.
  pub(crate) fn next(&self) -> Option<u64> {
    let state = lock(&self.state);
    if state.waiting.is_empty() || state.is_taking {
      return None;
    }
    state.due_at
  }

  /// A message is due at this time.
  pub(crate) fn note_due(&self, due_at: u64) {
    let mut state = lock(&self.state);
    state.due_at = Some(state.due_at.map_or(due_at, |known| known.min(due_at)));
  }

  /// Whether anything is being delivered.
  pub(crate) fn is_delivering(&self) -> bool {
    !lock(&self.state).running.is_empty()
  }

  fn leases(&self) -> Vec<Lease> {
    let state = lock(&self.state);
    let leases = state.running.iter().map(|(id, running)| Lease {
      id: id.clone(),
      deadline: running.deadline,
    });
    leases.collect()
  }

  fn submit(&self, job: Job) -> Result<(), StoreError> {
    let executor = self.executor.upgrade().ok_or_else(StoreError::closed)?;
    executor.submit(job, false)
  }

  /// Renews the leases of what is being delivered. One such write waits at a time: where another process
  /// has the write lock, it is due as soon as the lock is free.
  pub(crate) fn renew(self: &Arc<Self>) {
    let leases = self.leases();
    if leases.is_empty() || std::mem::replace(&mut lock(&self.state).is_renewing, true) {
      return;
    }
    let lease = LEASE;
    let task = Task::Renew { leases, lease };
    let weak = Arc::downgrade(self);
    let then = move |result: Result<Outcome, StoreError>| {
      if let Some(dispatcher) = weak.upgrade() {
        lock(&dispatcher.state).is_renewing = false;
        if result.is_err_and(|error| error.kind() == ErrorKind::Locked) {
          dispatcher.renew();
        }
      }
    };
    let job = Job::call(task, Durability::Relaxed, then);
    if self.submit(job).is_err() {
      lock(&self.state).is_renewing = false;
    }
  }

  /// The file has new deadlines for these leases.
  pub(crate) fn renewed(&self, leases: &[Lease]) {
    let mut state = lock(&self.state);
    for lease in leases {
      if let Some(running) = state.running.get_mut(&lease.id) {
        running.deadline = lease.deadline;
      }
    }
  }

  /// These leases have expired, and the write lock is free.
  pub(crate) fn note_expired(&self, leases: &[Lease]) {
    let expired = (!leases.is_empty()).then(|| (leases.to_vec(), Instant::now()));
    lock(&self.state).expired = expired;
  }

  /// Reclaims messages of processes that have died: notices expired leases first, and leaves living owners that have
  /// waited for the write lock the time to renew them.
  pub(crate) fn reclaim(self: &Arc<Self>) {
    let task = {
      let mut state = lock(&self.state);
      if state.is_reclaiming {
        return;
      }
      let task = match state.expired.take() {
        Some(expired) if expired.1.elapsed() < RECLAIM_GRACE => {
          state.expired = Some(expired);
          return;
        }
        Some((noticed, at)) if at.elapsed() < 2 * RECLAIM_GRACE => Task::Reclaim {
          noticed,
          asked: Instant::now(),
        },
        // Never noticed, or so long ago that the lock may have been held since.
        _ => Task::FindExpiredLeases,
      };
      state.is_reclaiming = true;
      task
    };
    let weak = Arc::downgrade(self);
    let then = move |_| {
      if let Some(dispatcher) = weak.upgrade() {
        lock(&dispatcher.state).is_reclaiming = false;
      }
    };
    if self
      .submit(Job::call(task, Durability::Relaxed, then))
      .is_err()
    {
      lock(&self.state).is_reclaiming = false;
    }
  }

  /// Ends every wait for messages.
  pub(crate) fn close(&self) {
    let mut state = lock(&self.state);
    state.is_closed = true;
    for waiting in std::mem::take(&mut state.waiting) {
      // Sending fails when nobody waits any more.
      let _ = waiting.reply.send(Err(StoreError::closed()));
    }
  }

  /// Takes messages, if some are due and somebody waits.
  pub(crate) fn pump(self: &Arc<Self>) {
    let now_ms = self.clock.now_ms();
    let max = {
      let mut state = lock(&self.state);
      state.waiting.retain(|waiting| !waiting.reply.is_closed());
      let is_due = state.due_at.is_some_and(|due_at| due_at <= now_ms);
      if state.waiting.is_empty() || state.is_taking || state.is_closed || !is_due {
        return;
      }
      state.is_taking = true;
      let wanted: usize = state.waiting.iter().map(|waiting| waiting.max).sum();
      wanted.min(TAKE)
    };
    let weak = Arc::downgrade(self);
    let then = move |result| {
      if let Some(dispatcher) = weak.upgrade() {
        dispatcher.taken(result);
      }
    };
    // If a power failure undoes it, the messages are delivered again: no sync.
    let job = Job::call(Task::Take { max }, Durability::Relaxed, then);
    if let Err(error) = self.submit(job) {
      self.taken(Err(error));
    }
  }

  fn taken(self: &Arc<Self>, result: Result<Outcome, StoreError>) {
    let batch = result.map(|outcome| match outcome {
      Outcome::Taken(batch) => Some(batch),
      // Taking has no other outcome.
      _ => None,
    });
    let unwanted = lock(&self.state).taken(batch, self.clock.now_ms());
    self.release(unwanted);
    self.alarm.ring();
    self.pump();
  }

  /// Gives messages back whose delivery was not tried: their listener is gone.
  fn release(&self, leases: Vec<Lease>) {
    if !leases.is_empty() {
      // If it fails, the leases expire, and the messages are reclaimed.
      let _ = self.submit(Job::unattended(Task::Release(leases), Durability::Relaxed));
    }
  }

  pub(super) fn add_listener(&self, listener: u64) {
    lock(&self.state).listeners.insert(listener);
    // Messages may have been there before anybody listened here.
    self.note_due(0);
  }

  pub(super) fn remove_listener(&self, listener: u64) {
    let leases = {
      let mut state = lock(&self.state);
      state.listeners.remove(&listener);
      state.give_up(listener)
    };
    self.release(leases);
  }

  /// Leaves what a listener has under leases of so long, to whoever adopts it.
  pub(super) fn leave(&self, listener: u64, lease: Duration) -> Answer<()> {
    let leases = lock(&self.state).give_up(listener);
    self.call(Task::Renew { leases, lease }, |_| ())
  }

  /// Takes over messages for a listener.
  pub(super) fn adopt(self: &Arc<Self>, listener: u64, ids: Vec<String>) -> Answer<Vec<MessageId>> {
    let (own, others) = {
      let state = lock(&self.state);
      let is_running = |id: &String| state.running.contains_key(id);
      let is_own = |id: &String| {
        let running = state.running.get(id);
        running.is_some_and(|running| running.listener == listener)
      };
      let own: Vec<String> = ids.iter().filter(|id| is_own(id)).cloned().collect();
      // What another listener of this process has is not to be had.
      let others: Vec<_> = ids.into_iter().filter(|id| !is_running(id)).collect();
      (own, others)
    };
    let weak = Arc::downgrade(self);
    self.call(Task::Adopt(others), move |outcome| {
      let mut adopted = own;
      if let (Outcome::Adopted(leases), Some(dispatcher)) = (outcome, weak.upgrade()) {
        let mut state = lock(&dispatcher.state);
        for Lease { id, deadline } in leases {
          // The listener may have gone meanwhile: then the lease runs out.
          if state.listeners.contains(&listener) {
            state
              .running
              .insert(id.clone(), Running::new(deadline, listener));
          }
          adopted.push(id);
        }
      }
      adopted.into_iter().map(MessageId::new).collect()
    })
  }

  /// Submits a task; the answer is what `then` makes of its outcome. It asks for no sync: what a power failure undoes
  /// is done again.
  fn call<T: Send + 'static>(
    &self,
    task: Task,
    then: impl FnOnce(Outcome) -> T + Send + 'static,
  ) -> Answer<T> {
    let (reply, answer) = Answer::queued(None);
    let job = Job::call(task, Durability::Relaxed, move |result| {
      // Sending fails when nobody waits any more.
      let _ = reply.send(result.map(then));
    });
    match self.submit(job) {
      Ok(()) => answer,
      Err(error) => error.into(),
    }
  }

  /// Waits for messages for a listener. `is_closed` is asked under the lock: nobody begins to wait after
  /// [`cancel`](Self::cancel).
  pub(super) fn wait(
    self: &Arc<Self>,
    listener: u64,
    max: usize,
    is_closed: impl FnOnce() -> bool,
  ) -> Answer<Vec<Message>> {
    let (reply, answer) = Answer::queued(None);
    {
      let mut state = lock(&self.state);
      if state.is_closed || is_closed() {
        return StoreError::closed().into();
      }
      state.waiting.push_back(Waiting {
        listener,
        max: max.max(1),
        reply,
      });
    }
    self.pump();
    self.alarm.ring();
    answer
  }

  /// Ends the waits of a listener. `close` is called under the lock.
  pub(super) fn cancel(&self, listener: u64, close: impl FnOnce()) {
    let mut state = lock(&self.state);
    close();
    let (own, others) = std::mem::take(&mut state.waiting)
      .into_iter()
      .partition::<VecDeque<_>, _>(|waiting| waiting.listener == listener);
    state.waiting = others;
    for waiting in own {
      let _ = waiting.reply.send(Err(StoreError::closed()));
    }
  }

  /// Ends a delivery: ack or nack.
  pub(super) fn end_delivery(
    self: &Arc<Self>,
    id: String,
    delivered: bool,
    durability: Durability,
  ) -> Answer<()> {
    self.end(id, durability, |lease| Task::EndDelivery {
      lease,
      delivered,
    })
  }

  /// Gives a message back whose delivery was not tried.
  pub(super) fn release_one(self: &Arc<Self>, id: String) -> Answer<()> {
    self.end(id, Durability::Relaxed, |lease| Task::Release(vec![lease]))
  }

  /// Ends a delivery by a task. If that fails, the message is still at work, and its end can be asked for again.
  fn end(
    self: &Arc<Self>,
    id: String,
    durability: Durability,
    task: impl FnOnce(Lease) -> Task,
  ) -> Answer<()> {
    let deadline = match lock(&self.state).running.get_mut(&id) {
      Some(running) if !running.is_ending => {
        running.is_ending = true;
        running.deadline
      }
      // It was ended before, or is being ended.
      _ => return Answer::ready(Ok(())),
    };
    let Some(executor) = self.executor.upgrade() else {
      return StoreError::closed().into();
    };
    let task = task(Lease {
      id: id.clone(),
      deadline,
    });
    let (reply, answer) = Answer::queued(Some(executor.clone() as Arc<dyn Leader>));
    let weak = Arc::downgrade(self);
    let ended = id.clone();
    let job = Job::call(task, durability, move |result| {
      if let Some(dispatcher) = weak.upgrade() {
        lock(&dispatcher.state).ended(&ended, result.is_ok());
      }
      // Sending fails when the runtime is gone.
      let _ = reply.send(result.map(|_| ()));
    });
    match executor.submit(job, true) {
      Ok(()) => answer,
      Err(error) => {
        lock(&self.state).ended(&id, false);
        error.into()
      }
    }
  }
}

impl Deliveries {
  /// The end of a delivery is committed, or has failed.
  fn ended(&mut self, id: &str, is_done: bool) {
    if is_done {
      self.running.remove(id);
    } else if let Some(running) = self.running.get_mut(id) {
      running.is_ending = false;
    }
  }

  /// Takes out what a listener has.
  fn give_up(&mut self, listener: u64) -> Vec<Lease> {
    let unfinished = self
      .running
      .extract_if(|_, running| running.listener == listener);
    let leases = unfinished.map(|(id, running)| Lease {
      id,
      deadline: running.deadline,
    });
    leases.collect()
  }

  /// Messages were taken, or could not be; returns those that nobody wants.
  fn taken(&mut self, batch: Result<Option<Batch>, StoreError>, now_ms: u64) -> Vec<Lease> {
    self.is_taking = false;
    match batch {
      Ok(Some(batch)) => {
        self.due_at = batch.next_due;
        return self.hand_out(batch.messages);
      }
      Ok(None) => {}
      Err(error) if error.kind() == ErrorKind::Locked => self.due_at = Some(now_ms + RETRY_MS),
      Err(error) => {
        for waiting in std::mem::take(&mut self.waiting) {
          // Sending fails when nobody waits any more.
          let _ = waiting.reply.send(Err(error.clone()));
        }
      }
    }
    Vec::new()
  }

  /// Hands messages to the listeners that wait, the same number to each; returns those that nobody wants.
  fn hand_out(&mut self, messages: Vec<Taken>) -> Vec<Lease> {
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
          let Lease { id, deadline } = taken.lease;
          let listener = waiting.listener;
          let running = Running::new(deadline, listener);
          self.running.insert(id.clone(), running);
          Message {
            id: MessageId::new(id),
            payload: taken.payload,
          }
        })
        .collect();
      if let Err(Ok(given)) = waiting.reply.send(Ok(given)) {
        // The listener has gone in this very moment.
        for message in given.into_iter().rev() {
          let id = message.id.into_string();
          let running = self.running.remove(&id);
          let deadline = running.map_or(0, |running| running.deadline);
          messages.push_front(Taken {
            lease: Lease { id, deadline },
            payload: message.payload,
          });
        }
      }
    }
    messages.into_iter().map(|taken| taken.lease).collect()
  }
}
