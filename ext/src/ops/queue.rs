use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::error::ResourceError;
use deno_core::{GarbageCollected, OpState, op2, v8};
use kv_store::engine::{DEFAULT_BACKOFF_MS, Enqueue, Listener};
use kv_store::session::{Handed, Receiver};
use kv_store::{Limits, ValueRef};

use super::codec::Codec;
use super::handle::{Dependent, HandleObject, OpenHandles};
use super::object::object;
use super::{key, rethrow, value};
use crate::error::OpError;

/// Checks what Deno checks when a message is enqueued, before anything is committed.
#[op2(reentrant)]
pub fn op_kv_check_enqueue<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] handle: Option<&HandleObject>,
  delay: v8::Local<'s, v8::Value>,
  backoff_schedule: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let limits = handle.map_or_else(Limits::default, |handle| handle.0.limits.clone());
  v8::tc_scope!(let scope, scope);
  let result = delay_ms(scope, &limits, delay)
    .and_then(|_| schedule(scope, &limits, backoff_schedule))
    .map(|_| v8::undefined(scope).into());
  rethrow(scope, result)
}

fn delay_ms(
  scope: &mut v8::PinScope<'_, '_>,
  limits: &Limits,
  delay: v8::Local<v8::Value>,
) -> Result<u64, OpError> {
  if delay.is_null_or_undefined() {
    return Ok(0);
  }
  if !delay.is_number() {
    return Err(OpError::Argument {
      name: "delay",
      expected: "a number",
      received: key::type_name(scope, delay),
    });
  }
  let shown = delay.to_rust_string_lossy(scope);
  let delay = delay.number_value(scope).unwrap_or(f64::NAN);
  Ok(limits.check_delay(delay, &shown)?)
}

fn schedule(
  scope: &mut v8::PinScope<'_, '_>,
  limits: &Limits,
  backoff_schedule: v8::Local<v8::Value>,
) -> Result<Vec<u32>, OpError> {
  if backoff_schedule.is_null_or_undefined() {
    return Ok(DEFAULT_BACKOFF_MS.to_vec());
  }
  let Ok(array) = v8::Local::<v8::Array>::try_from(backoff_schedule) else {
    return Err(OpError::Argument {
      name: "backoffSchedule",
      expected: "an array of numbers",
      received: key::type_name(scope, backoff_schedule),
    });
  };
  limits.check_backoff_count(array.length() as usize)?;
  let mut schedule = Vec::with_capacity(array.length() as usize);
  for index in 0..array.length() {
    let interval = array.get_index(scope, index).ok_or(OpError::Pending)?;
    let ms = match interval.is_number() {
      true => interval.number_value(scope).unwrap_or(f64::NAN),
      false => f64::NAN,
    };
    schedule.push(limits.check_backoff_interval(index as usize, ms)?);
  }
  Ok(schedule)
}

/// The message whose fields begin at `first`.
pub(super) fn enqueue<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  fields: v8::Local<'s, v8::Array>,
  first: u32,
  limits: &Limits,
  now_ms: u64,
) -> Result<Enqueue, OpError> {
  let field = |index| {
    fields
      .get_index(scope, first + index)
      .ok_or(OpError::Pending)
  };
  let [payload, delay, keys, backoff_schedule] = [field(0)?, field(1)?, field(2)?, field(3)?];
  let mut keys_if_undelivered = Vec::new();
  if !keys.is_null_or_undefined() {
    let Ok(keys) = v8::Local::<v8::Array>::try_from(keys) else {
      return Err(OpError::Argument {
        name: "keysIfUndelivered",
        expected: "an array of keys",
        received: key::type_name(scope, keys),
      });
    };
    for index in 0..keys.length() {
      let key = keys.get_index(scope, index).ok_or(OpError::Pending)?;
      keys_if_undelivered.push(key::encode(scope, key)?);
    }
  }
  Ok(Enqueue {
    payload: value::serialized(scope, payload)?,
    due_at: now_ms + delay_ms(scope, limits, delay)?,
    backoff_schedule: schedule(scope, limits, backoff_schedule)?,
    keys_if_undelivered,
  })
}

/// What is behind one call of `listenQueue`.
pub(super) struct Listening {
  /// `None` when it has ended, and nothing is being delivered.
  receiver: RefCell<Option<Rc<Receiver>>>,
  /// Messages that handlers are at work on, by number.
  delivering: RefCell<HashMap<u32, Handed>>,
  last_number: Cell<u32>,
  /// Nothing more is received: it ends with the last delivery.
  is_over: Cell<bool>,
}

impl Listening {
  fn new(listener: Arc<dyn Listener>, most: usize) -> Rc<Self> {
    Rc::new(Self {
      receiver: RefCell::new(Some(Rc::new(Receiver::new(listener, most)))),
      delivering: RefCell::default(),
      last_number: Cell::default(),
      is_over: Cell::default(),
    })
  }

  fn receiver(&self) -> Option<Rc<Receiver>> {
    self.receiver.borrow().clone()
  }

  /// Gives the store up once nothing is being delivered any more.
  fn release_when_idle(&self) {
    if self.is_over.get() && self.delivering.borrow().is_empty() {
      self.release();
    }
  }

  /// Takes messages in. Returns the number of the last, and how many there are.
  fn take_in(&self, messages: Vec<Handed>) -> (u32, u32) {
    let count = messages.len() as u32;
    let mut delivering = self.delivering.borrow_mut();
    for message in messages {
      let number = self.last_number.get().wrapping_add(1);
      self.last_number.set(number);
      delivering.insert(number, message);
    }
    (self.last_number.get(), count)
  }
}

impl Dependent for Listening {
  /// Ends the wait for messages.
  fn close(&self) {
    if let Some(receiver) = self.receiver() {
      receiver.close();
    }
  }

  /// Gives the store up. What is still being delivered goes to others.
  fn release(&self) {
    self.close();
    let delivering = self.delivering.take();
    let receiver = self.receiver.borrow_mut().take();
    drop((delivering, receiver));
  }
}

/// The object that `js/` has for a call of `listenQueue`.
pub(crate) struct ListenerObject(Rc<Listening>);

// SAFETY: `trace` must visit every reference to the JavaScript heap that the object holds. There is
// none: `Listening` holds Rust values only. (The trait itself is unsafe.)
unsafe impl GarbageCollected for ListenerObject {
  fn trace(&self, _visitor: &mut v8::cppgc::Visitor) {}

  fn get_name(&self) -> &'static std::ffi::CStr {
    c"KvQueueListener"
  }
}

/// Begins to listen.
#[op2]
pub fn op_kv_listen<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  state: Rc<RefCell<OpState>>,
  #[cppgc] handle: &HandleObject,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let store = handle.0.store().map_err(|_| OpError::QueueClosed)?.clone();
  let listener = store.listen()?;
  let most = handle.0.queue_concurrency as usize;
  let listening = Listening::new(listener, most);
  let dependent: Rc<dyn Dependent> = listening.clone();
  handle.0.add(&dependent);
  let open = state.borrow();
  open.borrow::<OpenHandles>().add_listener(&dependent);
  drop(open);
  object(scope, &state, ListenerObject(listening))
}

/// Waits for room for messages, and for messages: the number of the last one, and how many there are. None: the queue
/// is closed.
#[op2]
#[serde]
pub fn op_kv_receive(
  #[cppgc] listener: &ListenerObject,
) -> impl Future<Output = Result<(u32, u32), OpError>> + use<> {
  let listening = listener.0.clone();
  async move {
    let Some(receiver) = listening.receiver() else {
      return Ok((0, 0));
    };
    let messages = receiver.receive().await?;
    Ok(messages.map_or((0, 0), |messages| listening.take_in(messages)))
  }
}

/// The value of a message that was received, once.
#[op2(reentrant)]
pub fn op_kv_message<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] listener: &ListenerObject,
  #[smi] number: u32,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let payload = {
    let mut delivering = listener.0.delivering.borrow_mut();
    let message = delivering.get_mut(&number);
    let message = message.ok_or(OpError::Closed(ResourceError::BadResourceId))?;
    std::mem::take(&mut message.payload)
  };
  v8::tc_scope!(let scope, scope);
  let result = value::to_v8(scope, ValueRef::V8(&payload), &Codec::new(codec));
  rethrow(scope, result)
}

/// Ends a delivery: the message is acked, or nacked.
#[op2]
pub fn op_kv_end_delivery(
  #[cppgc] listener: &ListenerObject,
  #[smi] number: u32,
  delivered: bool,
) -> impl Future<Output = Result<(), OpError>> + use<> {
  let listening = listener.0.clone();
  // `None`: it was ended before.
  let message = listening.delivering.borrow_mut().remove(&number);
  let end = message.map(|message| message.end(delivered));
  async move {
    let result = match end {
      Some(end) => end.await,
      None => Ok(()),
    };
    // Also if the database can't be written.
    listening.release_when_idle();
    Ok(result?)
  }
}

/// Nothing is left to receive.
#[op2(fast)]
pub fn op_kv_release_listener(#[cppgc] listener: &ListenerObject) {
  listener.0.is_over.set(true);
  listener.0.release_when_idle();
}
