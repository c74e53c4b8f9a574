use crate::limits::Limits;

/// What an engine takes, and what it can't do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
  /// Sizes and counts beyond these are refused before the engine is asked, whatever the caller allows.
  pub limits: Limits,
  /// Whether it can be written.
  pub write: bool,
  /// Whether keys can be watched.
  pub watch: bool,
  /// Whether a watch begins with [`Change::Values`](super::Change::Values), so that nobody needs to read first.
  pub watch_begins_with_values: bool,
  /// Whether it has a queue.
  pub queue: bool,
  /// Whether it looks at [`AtomicWrite::id`](super::AtomicWrite::id).
  pub write_ids: bool,
  /// Whether its listeners can [release](super::Listener::release), [adopt](super::Listener::adopt) and
  /// [leave](super::Listener::leave): what a server needs to give messages to listeners in other processes.
  pub served_queue: bool,
}

impl Default for Capabilities {
  /// What every engine can be expected to do, without limits.
  fn default() -> Self {
    Self {
      limits: Limits::NONE,
      write: true,
      watch: true,
      watch_begins_with_values: false,
      queue: true,
      write_ids: false,
      served_queue: false,
    }
  }
}
