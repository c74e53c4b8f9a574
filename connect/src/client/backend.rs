use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use kv_store::Limits;
use kv_store::engine::{
  Answer, AtomicWrite, Backend, Capabilities, CommitOutcome, Consistency, Entries, ErrorKind,
  Listener, MutationKind, Notifier, ReadOptions, ReadRange, StoreError, Watcher, WriteId,
};
use prost::Message;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use uuid::Uuid;

use super::metadata::Lease;
use super::order::{Footprint, Order};
use super::queue::RemoteListener;
use super::remote::{Call, Remote, Unserved};
use super::retry::Backoff;
use super::watch;
use crate::protocol::messages::{
  AtomicWrite as AtomicWriteMessage, AtomicWriteOutput, AtomicWriteStatus, SnapshotRead,
  SnapshotReadOutput, SnapshotReadStatus,
};

/// A handle on a remote database.
pub(super) struct RemoteBackend {
  remote: Arc<Remote>,
  runtime: Handle,
  order: Order,
  is_closed: AtomicBool,
  database_id: [u8; 16],
  /// As the server said when the database was opened.
  can_watch: bool,
  has_queue: bool,
  has_write_ids: bool,
  write_ids: WriteIds,
  dependents: Mutex<Dependents>,
}

/// What ends with the handle. It may have ended before.
#[derive(Default)]
struct Dependents {
  watchers: Vec<(Notifier, AbortHandle)>,
  listeners: Vec<Weak<RemoteListener>>,
}

/// Ids for the writes of a handle: eight random bytes and a number, so that a server finds them side by side.
struct WriteIds {
  first: [u8; 8],
  last: AtomicU64,
}

impl WriteIds {
  fn new() -> Self {
    let mut first = [0; 8];
    first.copy_from_slice(&Uuid::new_v4().into_bytes()[8..]);
    // These two bits are the same in every UUID of this kind.
    first[0] ^= Uuid::new_v4().into_bytes()[0];
    Self {
      first,
      last: AtomicU64::new(0),
    }
  }

  fn next(&self) -> WriteId {
    let number = self.last.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&self.first);
    id[8..].copy_from_slice(&number.to_be_bytes());
    WriteId(id)
  }
}

impl RemoteBackend {
  pub(super) fn new(remote: Arc<Remote>, lease: &Lease, runtime: Handle) -> Self {
    Self {
      remote,
      runtime,
      order: Order::default(),
      is_closed: AtomicBool::new(false),
      database_id: lease.metadata.database_id.into_bytes(),
      can_watch: lease.metadata.version >= 3,
      has_queue: lease.extensions.queue,
      has_write_ids: lease.extensions.idempotency,
      write_ids: WriteIds::new(),
      dependents: Mutex::default(),
    }
  }

  /// Starts a call, which is done whether or not somebody waits for its answer. `work` gets the time that it may take,
  /// which begins now.
  fn start<T, F>(
    &self,
    footprint: Footprint,
    work: impl FnOnce(Arc<Remote>, Backoff) -> F,
  ) -> Answer<T>
  where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
  {
    if self.is_closed.load(Ordering::Acquire) {
      return StoreError::closed().into();
    }
    let mut place = self.order.enter(footprint);
    let backoff = self.remote.backoff();
    let left = backoff.left().unwrap_or(Duration::MAX);
    let work = work(self.remote.clone(), backoff);
    let (reply, answer) = oneshot::channel();
    self.runtime.spawn(async move {
      let result = match tokio::time::timeout(left, place.wait()).await {
        Ok(()) => work.await,
        Err(_) => Err(StoreError::new(
          ErrorKind::Unavailable,
          "the call was not sent: earlier calls on the same keys have no answer yet",
        )),
      };
      // Before the answer: calls that follow from it have nothing to wait for.
      drop(place);
      // Sending fails when nobody waits any more.
      let _ = reply.send(result);
    });
    Answer::from_future(async move { answer.await.unwrap_or_else(|_| Err(StoreError::closed())) })
  }

  /// Ends what belongs to the handle.
  fn end_dependents(&self) {
    let Dependents {
      watchers,
      listeners,
    } = std::mem::take(&mut *self.dependents());
    for (watcher, _) in watchers {
      watcher.close();
    }
    for listener in listeners.iter().filter_map(Weak::upgrade) {
      listener.close();
    }
  }

  fn dependents(&self) -> std::sync::MutexGuard<'_, Dependents> {
    self
      .dependents
      .lock()
      .unwrap_or_else(PoisonError::into_inner)
  }
}

fn body(message: &impl Message) -> Bytes {
  message.encode_to_vec().into()
}

/// Bytes of the answer to a read: keys and values of the largest size, and what is around them.
fn most_bytes(ranges: &[ReadRange]) -> usize {
  const OF_ENTRY: usize = (64 << 10) + (4 << 10);
  let entries = ranges.iter().map(|range| range.limit.get() as usize);
  entries.sum::<usize>().saturating_mul(OF_ENTRY) + (4 << 10)
}

/// Whether a write that is done twice, with nothing of this handle in between, does what it does once.
fn is_repeatable(write: &AtomicWrite) -> bool {
  let is_repeatable = |kind: &MutationKind| {
    matches!(
      kind,
      MutationKind::Set(_) | MutationKind::Delete | MutationKind::Min(_) | MutationKind::Max(_)
    )
  };
  let mut kinds = write.mutations.iter().map(|mutation| &mutation.kind);
  write.checks.is_empty() && write.enqueues.is_empty() && kinds.all(is_repeatable)
}

fn check_read(output: &SnapshotReadOutput, is_eventual: bool) -> Result<(), Unserved> {
  let status = SnapshotReadStatus::try_from(output.status);
  // Versions 1 and 2 say it by the flag.
  if output.read_disabled || status == Ok(SnapshotReadStatus::ReadDisabled) {
    let message = "Reads are disabled for this database";
    return Err(Unserved::new(ErrorKind::Unavailable, message));
  }
  if !output.read_is_strongly_consistent && !is_eventual {
    let message = "Strong consistency reads are not available for this database";
    return Err(Unserved::new(ErrorKind::Unavailable, message));
  }
  Ok(())
}

fn check_write(output: &AtomicWriteOutput) -> Result<(), Unserved> {
  match AtomicWriteStatus::try_from(output.status) {
    Ok(AtomicWriteStatus::WriteDisabled) => {
      let message = "Writes are disabled for this database";
      Err(Unserved::new(ErrorKind::Refused, message))
    }
    _ => Ok(()),
  }
}

fn invalid(error: impl std::fmt::Display) -> StoreError {
  let message = format!("KV Connect failed to decode response: {error}");
  StoreError::new(ErrorKind::Refused, message)
}

fn outcome(output: AtomicWriteOutput) -> Result<CommitOutcome, StoreError> {
  match AtomicWriteStatus::try_from(output.status) {
    Ok(AtomicWriteStatus::Success) => match output.committed() {
      Ok(versionstamp) => Ok(CommitOutcome::Committed(versionstamp)),
      Err(error) => Err(StoreError::new(
        ErrorKind::UnknownOutcome,
        format!("KV Connect failed to decode response: {error}; the write may have been committed"),
      )),
    },
    Ok(AtomicWriteStatus::CheckFailure) => Ok(CommitOutcome::CheckFailed(output.failed_checks)),
    _ => Err(StoreError::new(
      ErrorKind::UnknownOutcome,
      "Unspecified write error; the write may have been committed",
    )),
  }
}

impl Backend for RemoteBackend {
  fn snapshot_read(&self, ranges: Vec<ReadRange>, options: ReadOptions) -> Answer<Vec<Entries>> {
    let is_eventual = options.consistency == Consistency::Eventual;
    self.start(Footprint::of_read(&ranges), |remote, backoff| async move {
      if ranges.is_empty() {
        return Ok(Vec::new());
      }
      let message = SnapshotRead {
        ranges: ranges.iter().cloned().map(Into::into).collect(),
      };
      let call = Call {
        method: "snapshot_read",
        most_bytes: most_bytes(&ranges),
        body: body(&message),
        is_eventual,
        write_id: None,
        is_repeatable: true,
        backoff,
      };
      let check = |output: &SnapshotReadOutput| check_read(output, is_eventual);
      let output: SnapshotReadOutput = remote.call(call, check).await?;
      output.entries(&ranges).map_err(invalid)
    })
  }

  fn atomic_write(&self, write: AtomicWrite) -> Answer<CommitOutcome> {
    let id = write.id.unwrap_or_else(|| self.write_ids.next());
    self.start(Footprint::of_write(&write), |remote, backoff| async move {
      let call = Call {
        method: "atomic_write",
        most_bytes: 4 << 10,
        body: body(&AtomicWriteMessage::from(&write)),
        is_eventual: false,
        write_id: Some(Uuid::from_bytes(id.0).simple().to_string()),
        is_repeatable: is_repeatable(&write),
        backoff,
      };
      outcome(remote.call(call, check_write).await?)
    })
  }

  fn watch(&self, keys: Vec<Vec<u8>>) -> Result<Watcher, StoreError> {
    if self.is_closed.load(Ordering::Acquire) {
      return Err(StoreError::closed());
    }
    if !self.can_watch {
      return Err(StoreError::new(
        ErrorKind::Unsupported,
        "the server can't watch keys: it does not know version 3 of KV Connect",
      ));
    }
    let notifier = Notifier::default();
    let watching = watch::watch(self.remote.clone(), keys, notifier.clone());
    let task = self.runtime.spawn(watching);
    let mut dependents = self.dependents();
    dependents.watchers.retain(|(_, task)| !task.is_finished());
    dependents
      .watchers
      .push((notifier.clone(), task.abort_handle()));
    Ok(Watcher::new(notifier, EndOnDrop(task)))
  }

  fn listen(&self) -> Result<Arc<dyn Listener>, StoreError> {
    if self.is_closed.load(Ordering::Acquire) {
      return Err(StoreError::closed());
    }
    if !self.has_queue {
      return Err(StoreError::new(
        ErrorKind::Unsupported,
        "KV Connect does not support queues: this server does not have the extension queue/1, as `kv serve` has where the \
         database may be written",
      ));
    }
    let listener = Arc::new(RemoteListener::new(
      self.remote.clone(),
      self.runtime.clone(),
    ));
    let mut dependents = self.dependents();
    dependents
      .listeners
      .retain(|listener| listener.strong_count() > 0);
    dependents.listeners.push(Arc::downgrade(&listener));
    Ok(listener)
  }

  fn close(&self) -> Answer<()> {
    let last = self.start(Footprint::last(), |_, _| async { Ok(()) });
    if self.is_closed.swap(true, Ordering::AcqRel) {
      return Answer::ready(Ok(()));
    }
    self.end_dependents();
    last
  }

  fn capabilities(&self) -> Capabilities {
    let mut capabilities = Capabilities::default();
    // Every server's.
    capabilities.limits = Limits::default().with_backoff_intervals(10);
    capabilities.watch = self.can_watch;
    capabilities.watch_begins_with_values = self.can_watch;
    capabilities.queue = self.has_queue;
    capabilities.write_ids = self.has_write_ids;
    capabilities
  }

  fn database_id(&self, _make: bool) -> Answer<Option<[u8; 16]>> {
    Answer::ready(Ok(Some(self.database_id)))
  }
}

/// Ends a task with what it belongs to.
struct EndOnDrop(JoinHandle<()>);

impl Drop for EndOnDrop {
  fn drop(&mut self) {
    self.0.abort();
  }
}
