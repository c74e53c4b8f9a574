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
  /// Whether it has a queue.
  pub queue: bool,
}

impl Default for Capabilities {
  /// All, without limits.
  fn default() -> Self {
    Self {
      limits: Limits::NONE,
      write: true,
      watch: true,
      queue: true,
    }
  }
}
