use std::time::Duration;

/// What an engine has done since it was opened in this process, and what it holds at the moment. An engine leaves 0
/// where it does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
  /// Transactions that were committed. One holds the writes of a group.
  pub commits: u64,
  /// Writes, deliveries and other tasks that these transactions held.
  pub tasks: u64,
  /// The most tasks in one transaction.
  pub largest_group: u64,
  /// How long all commits took together, syncs and waits for locks included.
  pub commit_time: Duration,
  /// How long the slowest commit took.
  pub slowest_commit: Duration,
  /// Bytes in the write-ahead log after the last commit of this process.
  pub log_bytes: u64,
  /// Checkpoints that were made.
  pub checkpoints: u64,
  /// Tasks that wait to be committed.
  pub waiting_tasks: u64,
  /// Bytes of keys, values and messages that wait to be committed.
  pub waiting_bytes: u64,
  /// Connections that are open for reads, and idle.
  pub idle_readers: u64,
  /// Bytes that the page caches of the idle readers hold.
  pub cache_bytes: u64,
  /// Watchers in this process.
  pub watchers: u64,
  /// Listeners of the queue in this process.
  pub listeners: u64,
  /// Messages that this process is delivering.
  pub delivering: u64,
}
