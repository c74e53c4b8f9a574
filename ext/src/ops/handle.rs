use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use deno_core::error::ResourceError;
use deno_core::{GarbageCollected, v8};
use kv_store::Limits;
use kv_store::engine::{Answer, Backend, Clock, CommitOutcome, Entries, StoreError};

use crate::error::OpError;
use crate::options::KvOptions;

/// What is behind a `Deno.Kv` object: an open database, until it is closed.
pub(crate) struct Handle {
  store: RefCell<Option<Arc<dyn Backend>>>,
  pub(super) limits: Limits,
  pub(super) clock: Arc<dyn Clock>,
  /// Calls that a thread is at work on.
  pub(super) reads: Parked<Vec<Entries>>,
  pub(super) commits: Parked<CommitOutcome>,
  /// How many messages one listener may be delivering.
  pub(super) queue_concurrency: u32,
  /// Watchers and listeners of the handle, which end when it closes.
  dependents: WeakList<dyn Dependent>,
  weight: Weight,
}

/// What an open database takes outside the JavaScript heap, about, in bytes: the collector, which sees an
/// object of a few words, is told, or a script that opens databases and forgets them would fill the
/// memory before it looks for them.
struct Weight {
  bytes: Cell<i64>,
  /// Of all handles of the runtime: what was given back, and the collector has not heard of.
  released: Rc<Cell<i64>>,
}

/// Its pages, and SQLite's own buffers.
pub(super) const WEIGHT_IN_MEMORY: i64 = 128 * 1024;
/// Its share of connections and caches, which all handles of a file in the process have in common.
pub(super) const WEIGHT_OF_FILE: i64 = 16 * 1024;

impl Weight {
  fn release(&self) {
    let released = self.released.get() + self.bytes.take();
    self.released.set(released);
  }
}

impl Drop for Weight {
  fn drop(&mut self) {
    self.release();
  }
}

/// A watcher or a listener.
pub(super) trait Dependent {
  /// Ends what waits.
  fn close(&self);

  /// Gives the store up.
  fn release(&self) {
    self.close();
  }
}

/// Things that others own, and that may have gone meanwhile.
struct WeakList<T: ?Sized>(RefCell<Vec<Weak<T>>>);

impl<T: ?Sized> Default for WeakList<T> {
  fn default() -> Self {
    Self(RefCell::default())
  }
}

impl<T: ?Sized> WeakList<T> {
  /// Pruning where the list would grow keeps the work for each constant.
  fn add(&self, item: &Rc<T>) {
    let mut list = self.0.borrow_mut();
    if list.len() == list.capacity() {
      list.retain(|item| item.strong_count() > 0);
      let live = list.len();
      list.reserve(live + 4);
    }
    list.push(Rc::downgrade(item));
  }

  /// Takes those that are left.
  fn take(&self) -> Vec<Rc<T>> {
    self.0.take().iter().filter_map(Weak::upgrade).collect()
  }
}

impl Handle {
  /// `weight` is one of those above; `open` is what the runtime has open already.
  pub(super) fn new(
    store: Arc<dyn Backend>,
    weight: i64,
    options: KvOptions,
    open: &OpenHandles,
  ) -> Rc<Self> {
    let KvOptions {
      limits,
      clock,
      queue_concurrency,
      ..
    } = options;
    let handle = Rc::new(Self {
      weight: Weight {
        bytes: Cell::new(weight),
        released: open.released.clone(),
      },
      queue_concurrency,
      dependents: WeakList::default(),
      limits: limits.and(&store.capabilities().limits),
      store: RefCell::new(Some(store)),
      clock,
      reads: Parked::default(),
      commits: Parked::default(),
    });
    open.handles.add(&handle);
    handle
  }

  /// By how much the memory outside the heap has changed since this was asked last, of any handle. To be
  /// asked once of each, when it is JavaScript's.
  pub(super) fn weigh(&self) -> i64 {
    self.weight.bytes.get() - self.weight.released.take()
  }

  /// The store, or `BadResource` after `close()`.
  pub(super) fn store(&self) -> Result<Ref<'_, Arc<dyn Backend>>, OpError> {
    Ref::filter_map(self.store.borrow(), Option::as_ref)
      .map_err(|_| OpError::Closed(ResourceError::BadResourceId))
  }

  /// Closes the handle; false if it was closed before. The last handle of a database closes the
  /// database.
  pub(super) fn close(&self) -> bool {
    for dependent in self.dependents.take() {
      dependent.close();
    }
    self.weight.release();
    // Taken out first: dropping it may take a moment, and nobody may find it meanwhile.
    let store = self.store.borrow_mut().take();
    store.is_some()
  }
}

impl Handle {
  /// Something that ends when the handle is closed.
  pub(super) fn add(&self, dependent: &Rc<dyn Dependent>) {
    self.dependents.add(dependent);
  }
}

/// Answers that are not there yet, by ticket. JavaScript gets the ticket from a synchronous op,
/// which is all it takes when the answer is there at once; else it waits with an asynchronous one.
pub(super) struct Parked<T> {
  last_ticket: Cell<u32>,
  waiting: RefCell<HashMap<u32, Answer<T>>>,
  ready: RefCell<HashMap<u32, Result<T, StoreError>>>,
}

impl<T> Default for Parked<T> {
  fn default() -> Self {
    Self {
      last_ticket: Cell::default(),
      waiting: RefCell::default(),
      ready: RefCell::default(),
    }
  }
}

impl<T> Parked<T> {
  /// The ticket for an answer.
  pub(super) fn park(&self, answer: Answer<T>) -> u32 {
    let ticket = self.last_ticket.get().wrapping_add(1);
    self.last_ticket.set(ticket);
    self.waiting.borrow_mut().insert(ticket, answer);
    ticket
  }

  /// The answer, if it can be had without waiting.
  pub(super) fn try_lead(&self, ticket: u32) -> Option<Result<T, StoreError>> {
    let answer = self.waiting.borrow_mut().remove(&ticket)?;
    match answer.try_lead() {
      Ok(result) => Some(result),
      Err(answer) => {
        self.waiting.borrow_mut().insert(ticket, answer);
        None
      }
    }
  }

  /// Waits until the answer is there.
  pub(super) async fn wait(&self, ticket: u32) -> Result<T, StoreError> {
    let answer = self.waiting.borrow_mut().remove(&ticket);
    match answer {
      Some(answer) => answer.wait().await,
      None => Err(StoreError::closed()),
    }
  }

  /// Waits until the answer is there, and keeps it for [`take`](Self::take).
  pub(super) async fn prepare(&self, ticket: u32) {
    let result = self.wait(ticket).await;
    self.ready.borrow_mut().insert(ticket, result);
  }

  /// The answer that was prepared.
  pub(super) fn take(&self, ticket: u32) -> Result<T, StoreError> {
    let result = self.ready.borrow_mut().remove(&ticket);
    result.unwrap_or_else(|| Err(StoreError::closed()))
  }
}

/// The JavaScript object that `js/` keeps in a private field of `Deno.Kv`. An object the garbage
/// collector knows, and no number in a resource table: a database nobody can reach any more is
/// closed without anybody's doing.
pub(crate) struct HandleObject(pub(super) Rc<Handle>);

// SAFETY: `trace` must visit every reference to the JavaScript heap that the object holds. There
// is none: `Handle` holds Rust values only. (There is no safe way to say so: the trait itself is
// unsafe.)
unsafe impl GarbageCollected for HandleObject {
  fn trace(&self, _visitor: &mut v8::cppgc::Visitor) {}

  fn get_name(&self) -> &'static std::ffi::CStr {
    c"KvHandle"
  }
}

/// What is open in a runtime. When the runtime goes, all of it is closed, also those whose objects the
/// garbage collector has not come to. (QuickJS may never come to them.)
#[derive(Default)]
pub(crate) struct OpenHandles {
  handles: WeakList<Handle>,
  /// Also those of closed handles: their last messages may still be with a handler.
  listeners: WeakList<dyn Dependent>,
  released: Rc<Cell<i64>>,
  /// Opened, and not in JavaScript's hands yet.
  opened: RefCell<HashMap<u32, Rc<Handle>>>,
  last_ticket: Cell<u32>,
}

impl OpenHandles {
  /// The ticket for a handle that was opened.
  pub(super) fn park(&self, handle: Rc<Handle>) -> u32 {
    let ticket = self.last_ticket.get().wrapping_add(1);
    self.last_ticket.set(ticket);
    self.opened.borrow_mut().insert(ticket, handle);
    ticket
  }

  /// The handle for a ticket, once.
  pub(super) fn take(&self, ticket: u32) -> Option<Rc<Handle>> {
    self.opened.borrow_mut().remove(&ticket)
  }

  pub(super) fn add_listener(&self, listener: &Rc<dyn Dependent>) {
    self.listeners.add(listener);
  }
}

impl Drop for OpenHandles {
  fn drop(&mut self) {
    for listener in self.listeners.take() {
      listener.release();
    }
    for handle in self.handles.take() {
      handle.close();
    }
  }
}
