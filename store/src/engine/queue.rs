use std::time::Duration;

use super::{Answer, ErrorKind, StoreError};

/// A message for the queue, delivered at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueue {
  /// The value, in V8's wire format.
  pub payload: Vec<u8>,
  /// When it may be delivered, in UTC milliseconds.
  pub due_at: u64,
  /// Milliseconds to wait after each delivery that failed; after the last the message is given up.
  pub backoff_schedule: Vec<u32>,
  /// Where the value of a message that is given up is stored: encoded keys.
  pub keys_if_undelivered: Vec<Vec<u8>>,
}

/// The intervals of a message that names none: 0.1, 1, 5, 30 and 60 seconds.
pub const DEFAULT_BACKOFF_MS: [u32; 5] = [100, 1_000, 5_000, 30_000, 60_000];

/// A message that was handed over, under a lease: it is this process's until it is acked or nacked. While the process
/// lives nobody else gets it, and when it dies somebody does, within five seconds.
#[derive(Clone, Debug)]
pub struct Message {
  /// By this id [`Listener::ack`] and [`Listener::nack`] know it.
  pub id: MessageId,
  /// The value, in V8's wire format.
  pub payload: Vec<u8>,
}

/// Names a message that was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
  /// An id that the engine knows the message by.
  pub fn new(id: impl Into<String>) -> Self {
    Self(id.into())
  }

  /// What [`new`](Self::new) was given.
  pub fn as_str(&self) -> &str {
    &self.0
  }

  /// The same, without a copy.
  pub fn into_string(self) -> String {
    self.0
  }
}

/// A listener of the queue. Dropping it ends the listening; messages that it was handed and has neither acked nor
/// nacked go to others, with their whole backoff schedule.
pub trait Listener: Send + Sync {
  /// The next messages, in the order they are due, at least one and at most `max`: as soon as one
  /// is due. `max` is at least one.
  ///
  /// # Errors
  /// The listener or the database was closed ([`ErrorKind::Closed`](super::ErrorKind::Closed)),
  /// or the database can't be written.
  fn receive(&self, max: usize) -> Answer<Vec<Message>>;

  /// The message was delivered: it is removed.
  fn ack(&self, id: MessageId) -> Answer<()>;

  /// The message was not delivered: it goes back to the queue for the next interval of its schedule, or, after the
  /// last, to its `keys_if_undelivered`.
  fn nack(&self, id: MessageId) -> Answer<()>;

  /// The delivery of the message was not tried: it goes back to the queue at once, with its whole backoff schedule.
  fn release(&self, id: MessageId) -> Answer<()> {
    let _ = id;
    no_remote_listeners().into()
  }

  /// Takes over messages that another listener was handed and left, or whose process has died: from now on this
  /// listener has them. Returns those that it has got. The others are delivered to somebody else, or done; or their
  /// process has died within the last two seconds, which nobody can tell yet.
  ///
  /// A server that was restarted adopts what its clients are still working on.
  fn adopt(&self, ids: Vec<MessageId>) -> Answer<Vec<MessageId>> {
    let _ = ids;
    no_remote_listeners().into()
  }

  /// Gives up the messages that it has, but leaves them under a lease of so long, for somebody to
  /// [adopt](Self::adopt). It receives no more.
  fn leave(&self, lease: Duration) -> Answer<()> {
    let _ = lease;
    no_remote_listeners().into()
  }

  /// Ends all that waits in `receive`, or will, with an error. Messages that were handed over can still be
  /// acked and nacked.
  fn close(&self);
}

fn no_remote_listeners() -> StoreError {
  StoreError::new(
    ErrorKind::Unsupported,
    "this engine's queue can't be served to listeners in other processes",
  )
}

/// A listener of an engine, or of a database, that has no queue: every call fails.
#[derive(Debug)]
pub struct NoQueue(pub StoreError);

impl Listener for NoQueue {
  fn receive(&self, _max: usize) -> Answer<Vec<Message>> {
    self.0.clone().into()
  }

  fn ack(&self, _id: MessageId) -> Answer<()> {
    self.0.clone().into()
  }

  fn nack(&self, _id: MessageId) -> Answer<()> {
    self.0.clone().into()
  }

  fn close(&self) {}
}
