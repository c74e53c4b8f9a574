use std::path::PathBuf;
use std::sync::Arc;

use crate::limits::Limits;
use crate::store::sqlite::SqliteOptions;
use crate::store::{Clock, Durability, SystemClock};

/// What an embedder decides for its runtime: where databases without a path live, what calls may
/// be as large as, and what time it is.
///
/// ```
/// let options = kv_ext::KvOptions::default().default_path("data/app/kv.sqlite3");
/// let extension = kv_ext::init(options);
/// ```
#[derive(Clone)]
#[must_use]
pub struct KvOptions {
  pub(crate) default_path: Option<PathBuf>,
  pub(crate) default_label: Option<String>,
  pub(crate) limits: Limits,
  pub(crate) clock: Arc<dyn Clock>,
  pub(crate) durability: Durability,
  pub(crate) queue_concurrency: u32,
}

impl Default for KvOptions {
  fn default() -> Self {
    Self {
      default_path: None,
      default_label: None,
      limits: Limits::default(),
      clock: Arc::new(SystemClock),
      durability: Durability::default(),
      queue_concurrency: 100,
    }
  }
}

impl KvOptions {
  /// The database file that `Deno.openKv()` without a path opens. Its folder is made if it is
  /// missing. Without this, such a call rejects with a `TypeError`.
  pub fn default_path(mut self, path: impl Into<PathBuf>) -> Self {
    self.default_path = Some(path.into());
    self
  }

  /// Whose the default database is: the text goes into a file `script.txt` beside it, when the
  /// folder is made, for people who find it.
  pub fn default_label(mut self, label: impl Into<String>) -> Self {
    self.default_label = Some(label.into());
    self
  }

  /// Other limits than Deno's.
  pub fn limits(mut self, limits: Limits) -> Self {
    self.limits = limits;
    self
  }

  /// The clock that expiry is measured with. Default: [`SystemClock`].
  pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
    self.clock = clock;
    self
  }

  /// What a write has survived when its promise resolves. Default: [`Durability::Full`].
  ///
  /// Where runtimes of one process have a file open with different levels, each has its own.
  pub fn durability(mut self, durability: Durability) -> Self {
    self.durability = durability;
    self
  }

  /// How many messages one call of `listenQueue` has handlers at work on, at least one. Default: 100.
  pub fn queue_concurrency(mut self, handlers: u32) -> Self {
    self.queue_concurrency = handlers.max(1);
    self
  }

  pub(crate) fn sqlite(&self) -> SqliteOptions {
    SqliteOptions {
      clock: self.clock.clone(),
      durability: self.durability,
      ..SqliteOptions::default()
    }
  }
}
