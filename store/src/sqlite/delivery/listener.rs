use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Dispatcher;
use crate::engine::{Answer, Durability, Listener, Message, MessageId};

/// A listener of a database's queue.
pub(crate) struct QueueListener<Owner> {
  id: u64,
  dispatcher: Arc<Dispatcher>,
  durability: Durability,
  is_closed: AtomicBool,
  /// The database stays open while somebody has deliveries to end.
  _owner: Owner,
}

static LAST_LISTENER: AtomicU64 = AtomicU64::new(0);

impl<Owner> QueueListener<Owner> {
  pub(crate) fn new(dispatcher: Arc<Dispatcher>, durability: Durability, owner: Owner) -> Self {
    let id = LAST_LISTENER.fetch_add(1, Ordering::Relaxed);
    dispatcher.add_listener(id);
    Self {
      id,
      dispatcher,
      durability,
      is_closed: AtomicBool::new(false),
      _owner: owner,
    }
  }
}

impl<Owner: Send + Sync> Listener for QueueListener<Owner> {
  fn receive(&self, max: usize) -> Answer<Vec<Message>> {
    let is_closed = || self.is_closed.load(Ordering::Acquire);
    self.dispatcher.wait(self.id, max, is_closed)
  }

  fn ack(&self, id: MessageId) -> Answer<()> {
    self
      .dispatcher
      .end_delivery(id.into_string(), true, self.durability)
  }

  fn nack(&self, id: MessageId) -> Answer<()> {
    self
      .dispatcher
      .end_delivery(id.into_string(), false, self.durability)
  }

  fn release(&self, id: MessageId) -> Answer<()> {
    self.dispatcher.release_one(id.into_string())
  }

  fn adopt(&self, ids: Vec<MessageId>) -> Answer<Vec<MessageId>> {
    let ids = ids.into_iter().map(MessageId::into_string).collect();
    self.dispatcher.adopt(self.id, ids)
  }

  fn leave(&self, lease: Duration) -> Answer<()> {
    self.close();
    self.dispatcher.leave(self.id, lease)
  }

  fn close(&self) {
    let close = || self.is_closed.store(true, Ordering::Release);
    self.dispatcher.cancel(self.id, close);
  }
}

impl<Owner> Drop for QueueListener<Owner> {
  fn drop(&mut self) {
    self.dispatcher.remove_listener(self.id);
  }
}
