use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, Stream};

use crate::engine::{DEFAULT_BACKOFF_MS, Enqueue, Listener, StoreError};
use crate::error::KvError;
use crate::key::Key;
use crate::limits::Limits;
use crate::session::{Handed, Receiver};
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
    let delay_ms = self.delay.as_millis();
    let delay = limits.check_delay(delay_ms as f64, &delay_ms.to_string())?;
    let backoff_schedule = match self.backoff {
      None => DEFAULT_BACKOFF_MS.to_vec(),
      Some(intervals) => {
        limits.check_backoff_count(intervals.len())?;
        let intervals = intervals.iter().enumerate().map(|(index, interval)| {
          limits.check_backoff_interval(index, interval.as_millis() as f64)
        });
        intervals.collect::<Result<_, _>>()?
      }
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

type Received = Result<Option<Vec<Handed>>, StoreError>;

/// The messages of a [`Store::listen`](super::Store::listen), as a `Stream`. It ends when the database is closed, and
/// goes on after an error. Dropping it ends the listening.
pub struct Deliveries {
  receiver: Arc<Receiver>,
  received: VecDeque<Handed>,
  receiving: Option<BoxFuture<'static, Received>>,
}

impl Deliveries {
  pub(super) fn new(listener: Arc<dyn Listener>, most: usize) -> Self {
    Self {
      receiver: Arc::new(Receiver::new(listener, most)),
      received: VecDeque::new(),
      receiving: None,
    }
  }
}

impl Drop for Deliveries {
  fn drop(&mut self) {
    // Messages that nobody has taken go back with their whole schedule, when the last delivery is dropped.
    self.receiver.close();
  }
}

impl Stream for Deliveries {
  type Item = Result<Delivery, KvError>;

  fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
    let deliveries = self.get_mut();
    loop {
      if let Some(handed) = deliveries.received.pop_front() {
        return Poll::Ready(Some(Ok(Delivery::new(handed))));
      }
      let receiving = deliveries.receiving.get_or_insert_with(|| {
        let receiver = deliveries.receiver.clone();
        async move { receiver.receive().await }.boxed()
      });
      let received = ready!(receiving.poll_unpin(context));
      deliveries.receiving = None;
      match received {
        Ok(Some(messages)) => deliveries.received.extend(messages),
        Ok(None) => return Poll::Ready(None),
        Err(error) => return Poll::Ready(Some(Err(error.into()))),
      }
    }
  }
}

impl fmt::Debug for Deliveries {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Deliveries").finish_non_exhaustive()
  }
}

/// A message that was handed over. [`ack`](Self::ack) removes it from the queue. One that is dropped counts as
/// [nacked](Self::nack): it comes again after the next interval of its schedule.
#[derive(Debug)]
#[must_use = "a message that is not acked comes again"]
pub struct Delivery {
  /// The message.
  pub value: Value,
  /// `None` once it is acked or nacked.
  handed: Option<Handed>,
}

impl Delivery {
  fn new(mut handed: Handed) -> Self {
    Self {
      value: Value::V8(std::mem::take(&mut handed.payload)),
      handed: Some(handed),
    }
  }

  /// The message was delivered.
  ///
  /// # Errors
  /// The database can't be written; the message comes again when its lease has expired.
  pub async fn ack(self) -> Result<(), KvError> {
    self.end(true).await
  }

  /// The message was not delivered: it comes again after the next interval of its schedule, or is
  /// stored under its keys.
  ///
  /// # Errors
  /// As [`ack`](Self::ack).
  pub async fn nack(self) -> Result<(), KvError> {
    self.end(false).await
  }

  async fn end(mut self, delivered: bool) -> Result<(), KvError> {
    if let Some(handed) = self.handed.take() {
      handed.end(delivered).await?;
    }
    Ok(())
  }
}

impl Drop for Delivery {
  fn drop(&mut self) {
    if let Some(handed) = self.handed.take() {
      // It is done also if nobody waits for it.
      drop(handed.end(false));
    }
  }
}
