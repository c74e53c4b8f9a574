use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::engine::{Listener, Message, MessageId, StoreError};

/// Receives messages for a caller that has so many at work at a time, and no more.
pub struct Receiver {
  listener: Arc<dyn Listener>,
  /// One permit for each message that may be handed over.
  room: Arc<Semaphore>,
  most: usize,
  /// A call of `receive` that has not come to its end.
  receiving: Mutex<Option<BoxFuture<'static, Received>>>,
}

type Received = Result<Option<Vec<Handed>>, StoreError>;

impl Receiver {
  /// At most `most` messages, and at least one, are at work at a time.
  pub fn new(listener: Arc<dyn Listener>, most: usize) -> Self {
    let most = most.clamp(1, Semaphore::MAX_PERMITS);
    Self {
      listener,
      room: Arc::new(Semaphore::new(most)),
      most,
      receiving: Mutex::default(),
    }
  }

  /// The next messages, as soon as there is room for one and one is due. `None`: the listener or the database was
  /// closed. If the future is dropped, the next call goes on where it was: no message is lost.
  ///
  /// # Errors
  /// The database can't be written.
  pub async fn receive(&self) -> Result<Option<Vec<Handed>>, StoreError> {
    let mut receiving = self.receiving.lock().await;
    let received = receiving
      .get_or_insert_with(|| receive(self.listener.clone(), self.room.clone(), self.most).boxed())
      .await;
    *receiving = None;
    received
  }

  /// Ends the wait of [`receive`](Self::receive). Messages that were handed over can still be acked and nacked.
  pub fn close(&self) {
    self.room.close();
    self.listener.close();
  }
}

async fn receive(listener: Arc<dyn Listener>, room: Arc<Semaphore>, most: usize) -> Received {
  // Fails once the room is closed.
  let Ok(mut permits) = room.clone().acquire_owned().await else {
    return Ok(None);
  };
  // All the room there is: messages are taken in batches.
  let more = room.available_permits().min(most - 1);
  let more = u32::try_from(more).unwrap_or(u32::MAX);
  if let Ok(more) = room.try_acquire_many_owned(more) {
    permits.merge(more);
  }
  let messages = match listener.receive(permits.num_permits()).wait().await {
    Ok(messages) => messages,
    Err(error) if error.is_closed() => return Ok(None),
    Err(error) => return Err(error),
  };
  let handed = messages.into_iter().filter_map(|message| {
    let room = permits.split(1)?;
    Some(Handed::new(message, listener.clone(), room))
  });
  Ok(Some(handed.collect()))
}

impl fmt::Debug for Receiver {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Receiver")
      .field("most", &self.most)
      .finish_non_exhaustive()
  }
}

/// A message at work. If it is neither acked nor nacked, it goes to others when the listener ends.
pub struct Handed {
  /// The value, in V8's wire format.
  pub payload: Vec<u8>,
  id: MessageId,
  listener: Arc<dyn Listener>,
  room: OwnedSemaphorePermit,
}

impl Handed {
  fn new(message: Message, listener: Arc<dyn Listener>, room: OwnedSemaphorePermit) -> Self {
    Self {
      payload: message.payload,
      id: message.id,
      listener,
      room,
    }
  }

  /// Acks the message, or nacks it. That is begun at once, and done also if the future is dropped.
  ///
  /// # Errors
  /// The database can't be written; the message is delivered again when its lease has expired.
  pub fn end(self, delivered: bool) -> impl Future<Output = Result<(), StoreError>> {
    let Self {
      id, listener, room, ..
    } = self;
    let answer = match delivered {
      true => listener.ack(id),
      false => listener.nack(id),
    };
    async move {
      let result = answer.wait().await;
      // The listener is kept till here, and so is the room.
      drop((listener, room));
      result
    }
  }
}

impl fmt::Debug for Handed {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Handed")
      .field("id", &self.id)
      .finish_non_exhaustive()
  }
}
