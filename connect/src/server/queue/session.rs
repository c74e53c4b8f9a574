use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use kv_store::engine::{Listener, MessageId, StoreError};
use tokio::sync::{oneshot, watch};

use super::Refusal;
use crate::protocol::messages::{
  Finish, FinishOutcome, QueueExchange, QueueExchangeOutput, QueueMessage, QueueStatus,
};
use crate::server::Shared;

/// The bounds of how long a session may be silent.
const LEASE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(600)];
/// How long an answer may wait for a message.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Taking messages that are due takes a moment.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Messages in one answer.
const MOST_MESSAGES: usize = 100;

/// A client that listens to a queue.
pub(super) struct Session {
  listener: Arc<dyn Listener>,
  state: Mutex<State>,
  /// The number of the last poll. An earlier one that still waits ends.
  poll: watch::Sender<u64>,
}

struct State {
  /// The messages of the session. The payload is there until the client says that it has the message.
  running: HashMap<String, Option<Vec<u8>>>,
  lease: Duration,
  last_heard: Instant,
  /// Exchanges that are at work.
  exchanges: usize,
}

/// An exchange at work: while there is one, the session is heard of.
struct Heard<'s>(&'s Session);

impl Drop for Heard<'_> {
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

  fn hear(&self, lease_ms: u32) -> Heard<'_> {
    let mut state = self.state();
    let lease = Duration::from_millis(lease_ms.into());
    state.lease = lease.clamp(LEASE[0], LEASE[1]);
    state.exchanges += 1;
    Heard(self)
  }

  /// Whether it was not heard of for as long as its leases last.
  pub(super) fn is_silent(&self) -> bool {
    let state = self.state();
    state.exchanges == 0 && state.last_heard.elapsed() > state.lease
  }

  /// Leaves the messages to the client, under a lease of so long.
  pub(super) async fn leave(&self, lease: Duration) {
    if let Err(error) = self.listener.leave(lease).wait().await {
      // The messages go to others when their leases end.
      tracing::warn!(target: "kv_connect", %error, "messages could not be left to their client");
    }
  }

  pub(super) async fn exchange(
    self: &Arc<Self>,
    shared: &Arc<Shared>,
    exchange: QueueExchange,
  ) -> Result<QueueExchangeOutput, Refusal> {
    let heard = self.hear(exchange.lease_ms);
    let mut output = QueueExchangeOutput {
      status: QueueStatus::Success.into(),
      ..QueueExchangeOutput::default()
    };
    self.finish(&exchange.finished, &mut output).await?;
    let is_newest = exchange.poll > 0 && self.begin_poll(exchange.poll);
    if !exchange.close && is_newest {
      self.compare(&exchange.held, &mut output).await?;
      let is_answer = !output.messages.is_empty() || !output.gone.is_empty();
      if exchange.max > 0 && !is_answer {
        let max = (exchange.max as usize).min(MOST_MESSAGES);
        let wait = Duration::from_millis(exchange.wait_ms.into());
        let wait = wait.clamp(SHORTEST_WAIT, LONGEST_WAIT);
        output.messages = self.receive(shared, exchange.poll, max, wait).await?;
      }
    }
    drop(heard);
    Ok(output)
  }

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
    let ids = finished.iter().map(|finish| finish.id.as_str());
    let gone: HashSet<String> = self.adopt_missing(ids).await?.into_iter().collect();
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
      self.state().running.remove(&finish.id);
      Ok(())
    });
    // All of them, in shared commits; the first error is that of the exchange, which the client repeats.
    let results: Vec<Result<(), Refusal>> = join_all(ends).await;
    output.gone.extend(gone);
    results.into_iter().collect()
  }

  /// Takes over those of these messages that the session does not have. Returns those that are not to be had.
  async fn adopt_missing<'i>(
    &self,
    ids: impl Iterator<Item = &'i str>,
  ) -> Result<Vec<String>, StoreError> {
    let missing: Vec<MessageId> = {
      let state = self.state();
      let missing = ids.filter(|id| !state.running.contains_key(*id));
      missing.map(MessageId::new).collect()
    };
    if missing.is_empty() {
      return Ok(Vec::new());
    }
    let adopted = self.listener.adopt(missing.clone()).wait().await?;
    let mut state = self.state();
    for id in &adopted {
      state.running.insert(id.as_str().to_owned(), None);
    }
    let gone = missing.into_iter().filter(|id| !adopted.contains(id));
    Ok(gone.map(MessageId::into_string).collect())
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
      for (id, payload) in &mut state.running {
        if held.contains(id.as_str()) {
          *payload = None;
        } else if let Some(payload) = payload {
          // The answer that carried it was lost.
          output.messages.push(QueueMessage {
            id: id.clone(),
            payload: payload.clone(),
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
      self.state().running.remove(&id);
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
        let id = message.id.into_string();
        state
          .running
          .insert(id.clone(), Some(message.payload.clone()));
        QueueMessage {
          id,
          payload: message.payload,
        }
      });
      Ok(messages.collect())
    });
    match receiving.await {
      Ok(result) => result.map_err(|error: StoreError| match error.is_closed() {
        true => super::stopping(),
        false => error.into(),
      }),
      // The runtime ends.
      Err(_) => Err(super::stopping()),
    }
  }
}
