use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::{DEFAULT_BACKOFF_MS, Enqueue, Listener, Message, MessageId, StoreError};
use crate::error::KvError;
use crate::key::Key;
use crate::limits::Limits;
use crate::value::Value;

/// How a message is delivered: at once; after a failure again in 0.1, 1, 5, 30 and 60 seconds; then it is
/// dropped.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct MessageOptions {
  delay: Duration,
  backoff: Option<Vec<Duration>>,
  keys_if_undelivered: Vec<Key>,
}

impl MessageOptions {
  /// Not before so long, in whole milliseconds: at most
  /// [`Limits::queue_delay_ms`](crate::Limits::queue_delay_ms).
  pub fn delay(mut self, delay: Duration) -> Self {
    self.delay = delay;
    self
  }

  /// How long to wait after each delivery that failed, in whole milliseconds. After the last the
  /// message is given up.
  pub fn backoff(mut self, intervals: impl IntoIterator<Item = Duration>) -> Self {
    self.backoff = Some(intervals.into_iter().collect());
    self
  }

  /// Where a message that is given up is stored: under each of these keys.
  pub fn keys_if_undelivered(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
    self.keys_if_undelivered = keys.into_iter().collect();
    self
  }

  pub(super) fn enqueue(
    self,
    value: Value,
    now_ms: u64,
    limits: &Limits,
  ) -> Result<Enqueue, KvError> {
    let delay = u64::try_from(self.delay.as_millis()).unwrap_or(u64::MAX);
    if delay > limits.queue_delay_ms {
      return Err(KvError::InvalidEnqueue(format!(
        "Delay cannot be greater than {} ms: received {delay}",
        limits.queue_delay_ms
      )));
    }
    let backoff_schedule = match self.backoff {
      None => DEFAULT_BACKOFF_MS.to_vec(),
      Some(intervals) => schedule(&intervals, limits)?,
    };
    let keys = self.keys_if_undelivered.iter().map(Key::encode);
    Ok(Enqueue {
      payload: value.into_clone(),
      due_at: now_ms.saturating_add(delay),
      backoff_schedule,
      keys_if_undelivered: keys.collect::<Result<_, _>>()?,
    })
  }
}

fn schedule(intervals: &[Duration], limits: &Limits) -> Result<Vec<u32>, KvError> {
  let max = limits.backoff_intervals;
  if intervals.len() > max {
    return Err(KvError::InvalidEnqueue(format!(
      "Invalid backoffSchedule, max {max} intervals allowed"
    )));
  }
  let intervals = intervals.iter().enumerate().map(|(index, interval)| {
    u32::try_from(interval.as_millis())
      .ok()
      .filter(|ms| *ms <= limits.backoff_interval_ms)
      .ok_or_else(|| {
        KvError::InvalidEnqueue(format!(
          "Invalid backoffSchedule, interval at index {index} is invalid"
        ))
      })
  });
  intervals.collect()
}

type Received = Result<(Vec<Message>, OwnedSemaphorePermit), StoreError>;

/// The messages of a [`Store::listen`](super::Store::listen), as a `Stream`. It has no end, unless the
/// file can't be written any more. Dropping it ends the listening.
pub struct Deliveries {
  listener: Arc<Listening>,
  /// One permit for each message that may be handed over.
  room: Arc<Semaphore>,
  most: usize,
  received: VecDeque<Delivery>,
  receiving: Option<BoxFuture<'static, Received>>,
}

/// Who listens. It ends with the stream; deliveries that were handed over can still be finished.
struct Listening(Arc<dyn Listener>);

impl Deliveries {
  pub(super) fn new(listener: Arc<dyn Listener>, most: usize) -> Self {
    let most = most.clamp(1, Semaphore::MAX_PERMITS);
    Self {
      listener: Arc::new(Listening(listener)),
      room: Arc::new(Semaphore::new(most)),
      most,
      received: VecDeque::new(),
      receiving: None,
    }
  }

  fn receive(&self) -> BoxFuture<'static, Received> {
    let (listener, room, most) = (self.listener.clone(), self.room.clone(), self.most);
    async move {
      let permit = room.clone().acquire_owned().await;
      let mut permit = permit.map_err(|_| StoreError::Stopped)?;
      // All the room there is: messages are taken in batches.
      let more = room.available_permits().min(most - 1);
      if let Ok(more) = room.try_acquire_many_owned(u32::try_from(more).unwrap_or(u32::MAX)) {
        permit.merge(more);
      }
      let messages = listener.0.receive(permit.num_permits()).wait().await?;
      Ok((messages, permit))
    }
    .boxed()
  }
}

impl Drop for Deliveries {
  fn drop(&mut self) {
    self.listener.0.close();
    for delivery in &mut self.received {
      // Nobody has tried to deliver it: it goes back with its whole schedule, when the listener does.
      delivery.id = None;
    }
  }
}

impl Stream for Deliveries {
  type Item = Result<Delivery, KvError>;

  fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
    let deliveries = self.get_mut();
    loop {
      if let Some(delivery) = deliveries.received.pop_front() {
        return Poll::Ready(Some(Ok(delivery)));
      }
      let mut receiving = match deliveries.receiving.take() {
        Some(receiving) => receiving,
        None => deliveries.receive(),
      };
      let Poll::Ready(received) = receiving.poll_unpin(context) else {
        deliveries.receiving = Some(receiving);
        return Poll::Pending;
      };
      match received {
        Ok((messages, mut permit)) => {
          for message in messages {
            let Some(room) = permit.split(1) else { break };
            deliveries.received.push_back(Delivery {
              value: Value::V8(message.payload),
              id: Some(message.id),
              listener: deliveries.listener.clone(),
              _room: room,
            });
          }
        }
        Err(StoreError::Stopped) => return Poll::Ready(None),
        Err(error) => return Poll::Ready(Some(Err(error.into()))),
      }
    }
  }
}

/// A message that was handed over. It is removed from the queue by [`finish`](Self::finish). One that is
/// dropped has failed: it comes again after the next interval of its schedule.
#[must_use = "a message that is not finished comes again"]
pub struct Delivery {
  /// The message.
  pub value: Value,
  id: Option<MessageId>,
  listener: Arc<Listening>,
  _room: OwnedSemaphorePermit,
}

impl Delivery {
  /// The message was delivered.
  ///
  /// # Errors
  /// The file can't be written; the message comes again when its time has run out.
  pub async fn finish(self) -> Result<(), KvError> {
    self.end(true).await
  }

  /// The message was not delivered: it comes again after the next interval of its schedule, or is
  /// stored under its keys.
  ///
  /// # Errors
  /// As [`finish`](Self::finish).
  pub async fn fail(self) -> Result<(), KvError> {
    self.end(false).await
  }

  async fn end(mut self, delivered: bool) -> Result<(), KvError> {
    if let Some(id) = self.id.take() {
      self.listener.0.finish(id, delivered).wait().await?;
    }
    Ok(())
  }
}

impl Drop for Delivery {
  fn drop(&mut self) {
    if let Some(id) = self.id.take() {
      // It is done also if nobody waits for it.
      drop(self.listener.0.finish(id, false));
    }
  }
}
