use std::sync::Arc;
use std::time::Duration;

use tracing::{Level, Span, span};

use super::{
  Answer, AtomicWrite, Backend, Capabilities, CommitOutcome, Entries, Held, Listener, Message,
  MessageId, ReadOptions, ReadRange, Stats, StoreError, Usage, Watcher,
};

/// A backend whose calls are `tracing` spans, of target `kv_store` and level debug, from the call to its
/// answer: so a subscriber sees how long each took. Errors are events of level warn inside them.
///
/// With no subscriber that wants them, a call costs one comparison more.
pub(crate) struct Traced(Arc<dyn Backend>);

macro_rules! operation {
  ($operation:literal $(, $field:ident = $value:expr)*) => {
    span!(target: "kv_store", Level::DEBUG, $operation $(, $field = $value)*)
  };
}

impl Traced {
  /// Wraps a backend.
  #[allow(clippy::new_ret_no_self, reason = "nobody needs the type by its name")]
  pub fn new(backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
    Arc::new(Self(backend))
  }
}

/// Reports how a call has ended, inside its span. A call that is not traced has none.
pub(super) fn report<T>(span: &Span, result: &Result<T, StoreError>) {
  if let Err(error) = result
    && !span.is_none()
    // The end of a wait, and no fault.
    && !error.is_closed()
  {
    span.in_scope(|| tracing::warn!(target: "kv_store", %error, "failed"));
  }
}

impl Backend for Traced {
  fn snapshot_read(&self, ranges: Vec<ReadRange>, options: ReadOptions) -> Answer<Vec<Entries>> {
    let span = operation!("kv.read", ranges = ranges.len());
    self.0.snapshot_read(ranges, options).traced(span)
  }

  fn get_at_once(
    &self,
    key: &[u8],
    options: ReadOptions,
  ) -> Option<Result<Option<Held>, StoreError>> {
    let span = operation!("kv.get");
    let found = span.in_scope(|| self.0.get_at_once(key, options));
    if let Some(result) = &found {
      report(&span, result);
    }
    found
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let span = operation!(
      "kv.commit",
      checks = write.checks.len(),
      mutations = write.mutations.len(),
      messages = write.enqueues.len()
    );
    self.0.atomic_write(write).traced(span)
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Result<Watcher, StoreError> {
    let span = operation!("kv.watch", keys = keys.len());
    let watcher = span.in_scope(|| self.0.watch(keys));
    report(&span, &watcher);
    watcher
  }

  fn listen(&self) -> Result<Arc<dyn Listener>, StoreError> {
    Ok(Arc::new(TracedListener(self.0.listen()?)))
  }

  fn close(&self) -> Answer<()> {
    self.0.close().traced(operation!("kv.close"))
  }

  fn reader(&self) -> Option<Arc<dyn Backend>> {
    self.0.reader().map(Self::new)
  }

  fn capabilities(&self) -> Capabilities {
    self.0.capabilities()
  }

  fn database_id(&self, make: bool) -> Answer<Option<[u8; 16]>> {
    self
      .0
      .database_id(make)
      .traced(operation!("kv.database_id"))
  }

  fn usage(&self) -> Answer<Usage> {
    self.0.usage().traced(operation!("kv.usage"))
  }

  fn stats(&self) -> Stats {
    self.0.stats()
  }
}

struct TracedListener(Arc<dyn Listener>);

impl Listener for TracedListener {
  fn receive(&self, max: usize) -> Answer<Vec<Message>> {
    self.0.receive(max).traced(operation!("kv.receive"))
  }

  fn ack(&self, id: MessageId) -> Answer<()> {
    self.0.ack(id).traced(operation!("kv.ack"))
  }

  fn nack(&self, id: MessageId) -> Answer<()> {
    self.0.nack(id).traced(operation!("kv.nack"))
  }

  fn release(&self, id: MessageId) -> Answer<()> {
    self.0.release(id).traced(operation!("kv.release"))
  }

  fn adopt(&self, ids: Vec<MessageId>) -> Answer<Vec<MessageId>> {
    self.0.adopt(ids).traced(operation!("kv.adopt"))
  }

  fn leave(&self, lease: Duration) -> Answer<()> {
    self.0.leave(lease).traced(operation!("kv.leave"))
  }

  fn close(&self) {
    self.0.close();
  }
}
