use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use kv_store::engine::{Listener, MessageId, StoreError};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::protocol::messages::{
  Finish, FinishOutcome, QueueExchange, QueueExchangeOutput, QueueMessage, QueueStatus,
};
use crate::server::Shared;
use crate::server::admit::busy;
use crate::server::gate::{Gate, Permit};
use crate::server::respond::{Refusal, stopping};

/// The bounds of how long a session may be silent.
const LEASE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(600)];
/// How long an answer may wait for a message.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Taking messages that are due takes a moment.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Messages in one answer.
const MOST_MESSAGES: usize = 100;
/// After so long, a lease that a dead process has left looks like one.
const DEATH: Duration = Duration::from_millis(1_700);

/// A client that listens to a queue.
pub(super) struct Session {
  listener: Arc<dyn Listener>,
  state: Mutex<State>,
  /// The number of the last poll. An earlier one that still waits ends.
  poll: watch::Sender<u64>,
}

struct State {
  /// The messages of the session.
  running: HashMap<String, Running>,
  /// Messages whose deliveries were ended lately. The client may not have heard of it yet.
  ended: Ended,
  /// The number of the last delivery.
  last_delivery: u64,
  lease: Duration,
  last_heard: Instant,
  /// Exchanges that are at work.
  exchanges: usize,
}

/// A message of the session.
struct Running {
  /// `None`: it was taken over, and any number fits.
  delivery: Option<u64>,
  /// What the client has not said to have.
  payload: Option<Vec<u8>>,
}

/// The last messages that were ended, of which no more than [`Ended::MOST`] are remembered.
#[derive(Default)]
struct Ended {
  ids: HashSet<String>,
  order: VecDeque<String>,
}

impl Ended {
  const MOST: usize = 2_000;

  fn add(&mut self, id: &str) {
    if self.ids.insert(id.to_owned()) {
      self.order.push_back(id.to_owned());
    }
    if self.order.len() > Self::MOST
      && let Some(oldest) = self.order.pop_front()
    {
      self.ids.remove(&oldest);
    }
  }
}

impl State {
  /// A delivery was ended.
  fn end(&mut self, id: &str) {
    self.running.remove(id);
    self.ended.add(id);
  }
}

/// An exchange at work: while there is one, the session is heard of.
pub(super) struct Heard(Arc<Session>);

impl Drop for Heard {
  fn drop(&mut self) {
    let mut state = self.0.state();
    state.exchanges -= 1;
    state.last_heard = Instant::now();
  }
}

impl Session {
  pub(super) fn new(listener: Arc<dyn Listener>) -> Self {
    Self {
      listener,
      state: Mutex::new(State {
        running: HashMap::new(),
        ended: Ended::default(),
        // Not that of a session before a restart.
        last_delivery: Uuid::new_v4().as_u64_pair().0 >> 1,
        lease: LEASE[0],
        last_heard: Instant::now(),
        exchanges: 0,
      }),
      poll: watch::Sender::new(0),
    }
  }

  fn state(&self) -> MutexGuard<'_, State> {
    self.state.lock().unwrap_or_else(PoisonError::into_inner)
  }

  /// An exchange begins.
  pub(super) fn hear(self: &Arc<Self>, lease_ms: u32) -> Heard {
    let mut state = self.state();
    let lease = Duration::from_millis(lease_ms.into());
    state.lease = lease.clamp(LEASE[0], LEASE[1]);
    state.exchanges += 1;
    Heard(self.clone())
  }

  /// Whether it was not heard of for as long as its leases last.
  pub(super) fn is_silent(&self) -> bool {
    let state = self.state();
    state.exchanges == 0 && state.last_heard.elapsed() > state.lease
  }

  /// Ends a poll that waits, and receives no more.
  pub(super) fn close(&self) {
    self.poll.send_replace(u64::MAX);
    self.listener.close();
  }

  /// Leaves the messages to the client, under a lease of so long.
  pub(super) async fn leave(&self, lease: Duration) {
    if self.state().running.is_empty() {
      self.close();
      return;
    }
    if let Err(error) = self.listener.leave(lease).wait().await {
      // The messages go to others when their leases end.
      tracing::warn!(target: "kv_connect", %error, "messages could not be left to their client");
    }
  }
}

impl Heard {
  /// Does what an exchange asks for. `permit` is that of a request; a poll that waits needs another one.
  pub(super) async fn exchange(
    self,
    shared: &Arc<Shared>,
    permit: Permit,
    gate: &Gate,
    exchange: QueueExchange,
  ) -> Result<QueueExchangeOutput, Refusal> {
    let session = &self.0;
    let mut output = QueueExchangeOutput {
      status: QueueStatus::Success.into(),
      ..QueueExchangeOutput::default()
    };
    session.finish(&exchange.finished, &mut output).await?;
    let is_newest = exchange.poll > 0 && session.begin_poll(exchange.poll);
    if exchange.close || !is_newest {
      return Ok(output);
    }
    session.compare(&exchange.held, &mut output).await?;
    let is_answer = !output.messages.is_empty() || !output.gone.is_empty();
    if exchange.max == 0 || is_answer {
      return Ok(output);
    }
    drop(permit);
    let waits = gate.watch().await.ok_or_else(busy)?;
    let max = (exchange.max as usize).min(MOST_MESSAGES);
    let wait = Duration::from_millis(exchange.wait_ms.into());
    let wait = wait.clamp(SHORTEST_WAIT, LONGEST_WAIT);
    output.messages = session.receive(shared, exchange.poll, max, wait).await?;
    drop(waits);
    Ok(output)
  }
}

impl Session {
  /// Whether a poll is newer than those before it, which end. A repetition, by a proxy for one, is not.
  fn begin_poll(&self, number: u64) -> bool {
    self.poll.send_if_modified(|last| {
      let is_newer = number > *last;
      if is_newer {
        *last = number;
      }
      is_newer
    })
  }

  /// Ends deliveries. Of a message that the session does not have, another server may have been asked before.
  async fn finish(
    &self,
    finished: &[Finish],
    output: &mut QueueExchangeOutput,
  ) -> Result<(), Refusal> {
    let mut gone: HashSet<String> = self.ended_among(finished);
    let ids = finished.iter().map(|finish| finish.id.as_str());
    gone.extend(self.adopt_missing(ids).await?);
    {
      // The end of an earlier delivery, asked for once more, is not that of the one that goes on.
      let state = self.state();
      let others = finished.iter().filter(|finish| {
        let running = state.running.get(&finish.id);
        let delivery = running.and_then(|running| running.delivery);
        delivery.is_some_and(|delivery| delivery != finish.delivery)
      });
      gone.extend(others.map(|finish| finish.id.clone()));
    }
    let ends = finished.iter().filter(|finish| !gone.contains(&finish.id));
    let ends = ends.map(|finish| async move {
      let id = MessageId::new(finish.id.clone());
      let ended = match FinishOutcome::try_from(finish.outcome) {
        Ok(FinishOutcome::Delivered) => self.listener.ack(id),
        Ok(FinishOutcome::Failed) => self.listener.nack(id),
        Ok(FinishOutcome::Returned) => self.listener.release(id),
        Ok(FinishOutcome::Unspecified) | Err(_) => {
          return Err(Refusal::bad_request("invalid outcome of a delivery"));
        }
      };
      ended.wait().await?;
      self.state().end(&finish.id);
      Ok(())
    });
    // All of them, in shared commits; the first error is that of the exchange, which the client repeats.
    let results: Vec<Result<(), Refusal>> = join_all(ends).await;
    output.gone.extend(gone);
    results.into_iter().collect()
  }

  /// Those of these messages that were ended before.
  fn ended_among(&self, finished: &[Finish]) -> HashSet<String> {
    let state = self.state();
    let ended = finished.iter().filter(|finish| {
      !state.running.contains_key(&finish.id) && state.ended.ids.contains(&finish.id)
    });
    ended.map(|finish| finish.id.clone()).collect()
  }

  /// Takes over those of these messages that the session does not have and has not ended. Returns those that can't be had.
  async fn adopt_missing<'i>(
    &self,
    ids: impl Iterator<Item = &'i str>,
  ) -> Result<Vec<String>, StoreError> {
    let missing: Vec<MessageId> = {
      let state = self.state();
      let missing =
        ids.filter(|id| !state.running.contains_key(*id) && !state.ended.ids.contains(*id));
      missing.map(MessageId::new).collect()
    };
    let left = self.adopt(missing).await?;
    if left.is_empty() {
      return Ok(Vec::new());
    }
    // Their server may have died just now.
    tokio::time::sleep(DEATH).await;
    let left = self.adopt(left).await?;
    Ok(left.into_iter().map(MessageId::into_string).collect())
  }

  /// Takes messages over; returns the others.
  async fn adopt(&self, ids: Vec<MessageId>) -> Result<Vec<MessageId>, StoreError> {
    if ids.is_empty() {
      return Ok(ids);
    }
    let adopted = self.listener.adopt(ids.clone()).wait().await?;
    let adopted: HashSet<MessageId> = adopted.into_iter().collect();
    let mut state = self.state();
    for id in &adopted {
      let running = Running {
        delivery: None,
        payload: None,
      };
      state.running.insert(id.as_str().to_owned(), running);
    }
    Ok(ids.into_iter().filter(|id| !adopted.contains(id)).collect())
  }

  /// Compares what the client has with what it was handed.
  async fn compare(
    &self,
    held: &[String],
    output: &mut QueueExchangeOutput,
  ) -> Result<(), Refusal> {
    let gone = self.adopt_missing(held.iter().map(String::as_str)).await?;
    output.gone.extend(gone);
    let held: HashSet<&str> = held.iter().map(String::as_str).collect();
    let mut lost = Vec::new();
    {
      let mut state = self.state();
      for (id, running) in &mut state.running {
        if held.contains(id.as_str()) {
          running.payload = None;
        } else if let Running {
          delivery: Some(delivery),
          payload: Some(payload),
        } = running
        {
          // The answer that carried it was lost.
          output.messages.push(QueueMessage {
            id: id.clone(),
            payload: payload.clone(),
            delivery: *delivery,
          });
        } else {
          // The client had it, and does not know it any more.
          lost.push(id.clone());
        }
      }
    }
    for id in lost {
      self
        .listener
        .release(MessageId::new(id.clone()))
        .wait()
        .await?;
      self.state().end(&id);
    }
    Ok(())
  }

  /// Waits for messages. They are the session's also if the client hangs up meanwhile; then the next poll gets them.
  async fn receive(
    self: &Arc<Self>,
    shared: &Arc<Shared>,
    poll: u64,
    max: usize,
    wait: Duration,
  ) -> Result<Vec<QueueMessage>, Refusal> {
    let (session, shared) = (self.clone(), shared.clone());
    // Dropped with this future, when the client hangs up.
    let (_here, mut hung_up) = oneshot::channel::<()>();
    let receiving = tokio::spawn(async move {
      let mut polls = session.poll.subscribe();
      let end = async {
        tokio::select! {
          () = tokio::time::sleep(wait) => {}
          () = shared.stopped() => {}
          _ = &mut hung_up => {}
          _ = polls.wait_for(|last| *last > poll) => {}
        }
      };
      let Some(received) = session.listener.receive(max).wait_until(end).await else {
        return Ok(Vec::new());
      };
      let received = received?;
      let mut state = session.state();
      let messages = received.into_iter().map(|message| {
        state.last_delivery += 1;
        let (id, delivery) = (message.id.into_string(), state.last_delivery);
        let running = Running {
          delivery: Some(delivery),
          payload: Some(message.payload.clone()),
        };
        // It comes again.
        state.ended.ids.remove(&id);
        state.running.insert(id.clone(), running);
        QueueMessage {
          id,
          payload: message.payload,
          delivery,
        }
      });
      Ok(messages.collect())
    });
    match receiving.await {
      Ok(Ok(messages)) => Ok(messages),
      // The session was closed, or the server stops.
      Ok(Err(error)) if StoreError::is_closed(&error) => Ok(Vec::new()),
      Ok(Err(error)) => Err(error.into()),
      // The runtime ends.
      Err(_) => Err(stopping()),
    }
  }
}
