//! Listens to a remote queue by the extension `queue/1`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use kv_store::engine::{Answer, ErrorKind, Listener, Message, MessageId, StoreError};
use prost::Message as _;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::remote::{Call, Remote, Unserved};
use super::retry::Backoff;
use crate::protocol::messages::{
  Finish, FinishOutcome, QueueExchange, QueueExchangeOutput, QueueMessage, QueueStatus,
};

/// How long the server keeps the messages of a client that it does not hear of.
const LEASE_MS: u32 = 15_000;
/// How long a poll waits for a message.
const WAIT_MS: u32 = 10_000;
/// How often a listener that has messages, and no poll on its way, is heard of.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// Deliveries that one exchange ends.
const MOST_FINISHED: usize = 100;

/// A listener of a remote queue.
pub(super) struct RemoteListener {
  shared: Arc<Shared>,
}

struct Shared {
  remote: Arc<Remote>,
  runtime: Handle,
  session: [u8; 16],
  state: Mutex<State>,
  /// One poll at a time: the number of the last one, and messages that nobody has waited for.
  polling: tokio::sync::Mutex<Polling>,
  /// There are deliveries to end.
  has_finished: Notify,
  /// One exchange that ends deliveries at a time.
  finishing: tokio::sync::Mutex<()>,
  is_closed: AtomicBool,
  closed: Notify,
}

#[derive(Default)]
struct State {
  /// The messages that the server has handed over and not yet taken back, with the numbers of their deliveries.
  held: HashMap<String, u64>,
  /// Deliveries to end, and who waits for that.
  finished: Vec<(Finish, oneshot::Sender<Result<(), StoreError>>)>,
  last_poll: Option<Instant>,
}

#[derive(Default)]
struct Polling {
  number: u64,
  buffer: Vec<Message>,
}

impl RemoteListener {
  pub(super) fn new(remote: Arc<Remote>, runtime: Handle) -> Self {
    let shared = Arc::new(Shared {
      remote,
      runtime: runtime.clone(),
      session: Uuid::new_v4().into_bytes(),
      state: Mutex::default(),
      polling: tokio::sync::Mutex::default(),
      has_finished: Notify::new(),
      finishing: tokio::sync::Mutex::default(),
      is_closed: AtomicBool::new(false),
      closed: Notify::new(),
    });
    runtime.spawn(live(Arc::downgrade(&shared)));
    runtime.spawn(end_deliveries(Arc::downgrade(&shared)));
    Self { shared }
  }

  fn finish(&self, id: MessageId, outcome: FinishOutcome) -> Answer<()> {
    let (reply, answer) = oneshot::channel();
    let Some((delivery, id)) = parse_id(id.as_str()) else {
      let message = format!("no message of this listener: {}", id.as_str());
      return StoreError::new(ErrorKind::Other, message).into();
    };
    let finish = Finish {
      id: id.to_owned(),
      outcome: outcome.into(),
      delivery,
    };
    self.shared.state().finished.push((finish, reply));
    self.shared.has_finished.notify_one();
    Answer::from_future(async move { answer.await.unwrap_or_else(|_| Err(StoreError::closed())) })
  }
}

/// The id of a message tells its delivery, of which a message may have several.
fn message_id(delivery: u64, id: &str) -> MessageId {
  MessageId::new(format!("{delivery}:{id}"))
}

fn parse_id(id: &str) -> Option<(u64, &str)> {
  let (delivery, id) = id.split_once(':')?;
  Some((delivery.parse().ok()?, id))
}

impl Shared {
  fn state(&self) -> MutexGuard<'_, State> {
    self.state.lock().unwrap_or_else(PoisonError::into_inner)
  }

  async fn exchange(
    &self,
    exchange: QueueExchange,
    backoff: Backoff,
  ) -> Result<QueueExchangeOutput, StoreError> {
    let exchange = QueueExchange {
      session: self.session.to_vec(),
      lease_ms: LEASE_MS,
      ..exchange
    };
    let call = Call {
      method: "queue_exchange",
      most_bytes: 16 << 20,
      body: exchange.encode_to_vec().into(),
      is_eventual: false,
      write_id: None,
      is_repeatable: true,
      backoff,
    };
    let check = |output: &QueueExchangeOutput| match QueueStatus::try_from(output.status) {
      Ok(QueueStatus::Success) => Ok(()),
      _ => {
        let message = "the queue of this database can't be listened to: it may only be read";
        Err(Unserved::new(ErrorKind::Refused, message))
      }
    };
    self.remote.call(call, check).await
  }

  /// A poll for at most `max` more messages; 0 only shows that the listener lives.
  async fn poll(
    &self,
    polling: &mut Polling,
    max: usize,
    backoff: Backoff,
  ) -> Result<Vec<Message>, StoreError> {
    polling.number += 1;
    let held: Vec<String> = {
      let mut state = self.state();
      state.last_poll = Some(Instant::now());
      state.held.keys().cloned().collect()
    };
    let exchange = QueueExchange {
      poll: polling.number,
      max: max.try_into().unwrap_or(u32::MAX),
      wait_ms: WAIT_MS,
      held,
      ..QueueExchange::default()
    };
    let output = self.exchange(exchange, backoff).await?;
    let mut state = self.state();
    state.last_poll = Some(Instant::now());
    for id in &output.gone {
      // Another listener gets it; what is at work here comes to nothing.
      state.held.remove(id);
    }
    let new = output.messages.into_iter().filter_map(|message| {
      let QueueMessage {
        id,
        payload,
        delivery,
      } = message;
      let is_new = state.held.insert(id.clone(), delivery) != Some(delivery);
      is_new.then(|| Message {
        id: message_id(delivery, &id),
        payload,
      })
    });
    Ok(new.collect())
  }

  /// Waits for messages, and answers with them. If nobody takes the answer, they are for the next call.
  async fn receive(
    &self,
    max: usize,
    mut reply: oneshot::Sender<Result<Vec<Message>, StoreError>>,
  ) {
    let mut polling = self.polling.lock().await;
    while polling.buffer.is_empty() {
      let closed = self.closed.notified();
      if self.is_closed.load(Ordering::Acquire) {
        // Sending fails when nobody waits any more.
        let _ = reply.send(Err(StoreError::closed()));
        return;
      }
      let polled = tokio::select! {
        polled = self.poll(&mut polling, max, Backoff::endless()) => polled,
        () = closed => Err(StoreError::closed()),
        // What the server hands over in this moment, it hands over again.
        () = reply.closed() => return,
      };
      match polled {
        Ok(messages) => polling.buffer.extend(messages),
        Err(error) => {
          let _ = reply.send(Err(error));
          return;
        }
      }
    }
    let count = polling.buffer.len().min(max);
    let messages: Vec<_> = polling.buffer.drain(..count).collect();
    if let Err(Ok(messages)) = reply.send(Ok(messages)) {
      polling.buffer.splice(0..0, messages);
    }
  }

  /// The end of a delivery is done, or could not be asked for.
  fn note_end(&self, finish: &Finish, is_done: bool) {
    let mut state = self.state();
    let is_current = state.held.get(&finish.id) == Some(&finish.delivery);
    if is_done && is_current {
      state.held.remove(&finish.id);
    }
  }

  fn close(&self) {
    self.is_closed.store(true, Ordering::Release);
    self.closed.notify_waiters();
  }
}

impl Listener for RemoteListener {
  fn receive(&self, max: usize) -> Answer<Vec<Message>> {
    let (reply, answer) = oneshot::channel();
    let shared = self.shared.clone();
    let receiving = async move { shared.receive(max.max(1), reply).await };
    self.shared.runtime.spawn(receiving);
    Answer::from_future(async move { answer.await.unwrap_or_else(|_| Err(StoreError::closed())) })
  }

  fn ack(&self, id: MessageId) -> Answer<()> {
    self.finish(id, FinishOutcome::Delivered)
  }

  fn nack(&self, id: MessageId) -> Answer<()> {
    self.finish(id, FinishOutcome::Failed)
  }

  fn release(&self, id: MessageId) -> Answer<()> {
    self.finish(id, FinishOutcome::Returned)
  }

  fn close(&self) {
    self.shared.close();
  }
}

impl Drop for RemoteListener {
  fn drop(&mut self) {
    self.shared.close();
    // Nothing renews the leases any more.
    self.shared.state().held.clear();
    let shared = self.shared.clone();
    self.shared.runtime.spawn(async move {
      // Deliveries whose end was asked for come first. If this fails, the server ends the session by itself.
      while end_some(&shared).await {}
      let exchange = QueueExchange {
        close: true,
        ..QueueExchange::default()
      };
      let backoff = shared.remote.backoff();
      if let Err(error) = shared.exchange(exchange, backoff).await {
        tracing::debug!(target: "kv_connect", %error, "a queue session could not be closed");
      }
    });
  }
}

/// Shows that the listener lives, while it has messages and no poll on its way.
async fn live(shared: Weak<Shared>) {
  loop {
    tokio::time::sleep(SIGN_OF_LIFE / 2).await;
    let Some(shared) = shared.upgrade() else {
      return;
    };
    let is_due = {
      let state = shared.state();
      let last = state.last_poll;
      !state.held.is_empty() && last.is_none_or(|last| last.elapsed() >= SIGN_OF_LIFE)
    };
    // A poll that is on its way is a sign of life.
    if is_due && let Ok(mut polling) = shared.polling.try_lock() {
      match shared.poll(&mut polling, 0, shared.remote.backoff()).await {
        Ok(messages) => polling.buffer.extend(messages),
        Err(error) => {
          tracing::warn!(target: "kv_connect", %error, "leases could not be renewed");
        }
      }
    }
  }
}

/// Ends deliveries: those that come while an exchange is on its way share the next one.
async fn end_deliveries(shared: Weak<Shared>) {
  loop {
    let Some(strong) = shared.upgrade() else {
      return;
    };
    if end_some(&strong).await {
      continue;
    }
    let wait = strong.has_finished.notified();
    // Not for ever: the listener may be dropped meanwhile.
    let _ = tokio::time::timeout(SIGN_OF_LIFE, wait).await;
  }
}

/// Ends the deliveries that wait for it; returns whether there were some.
async fn end_some(shared: &Shared) -> bool {
  let _one = shared.finishing.lock().await;
  let finished: Vec<_> = {
    let mut state = shared.state();
    let count = state.finished.len().min(MOST_FINISHED);
    state.finished.drain(..count).collect()
  };
  if finished.is_empty() {
    return false;
  }
  let exchange = QueueExchange {
    finished: finished.iter().map(|(finish, _)| finish.clone()).collect(),
    ..QueueExchange::default()
  };
  let result = shared.exchange(exchange, shared.remote.backoff()).await;
  let result = result.map(|_| ());
  for (finish, reply) in finished {
    shared.note_end(&finish, result.is_ok());
    // Sending fails when nobody waits any more.
    let _ = reply.send(result.clone());
  }
  true
}
