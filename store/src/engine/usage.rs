/// What a database holds. An engine leaves 0 where it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
  /// Bytes that it takes, without a write-ahead log.
  pub bytes: u64,
  /// Messages that wait in the queue, of which no more than [`Usage::MOST_MESSAGES`] are counted.
  pub waiting_messages: u64,
  /// Messages that are being delivered, counted likewise.
  pub running_messages: u64,
  /// When the first waiting message is, or was, due, in UTC milliseconds.
  pub first_due_at: Option<u64>,
}

impl Usage {
  /// As many messages are counted, so that looking at a long queue takes no longer than some milliseconds.
  pub const MOST_MESSAGES: u64 = 100_000;
}
