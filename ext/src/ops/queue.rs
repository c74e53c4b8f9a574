use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::error::ResourceError;
use deno_core::{GarbageCollected, OpState, op2, v8};
use kv_store::engine::{
  Answer, DEFAULT_BACKOFF_MS, Enqueue, Listener, Message, MessageId, StoreError,
};
use kv_store::{KvError, Limits, ValueRef};

use super::codec::Codec;
use super::handle::{HandleObject, OpenHandles};
use super::object::object;
use super::{key, rethrow, value};
use crate::error::OpError;

/// `js/` hands messages over in one flat array: payload, delay, keysIfUndelivered, backoffSchedule.
pub(super) const ENQUEUE_FIELDS: u32 = 4;

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

fn invalid<T>(message: String) -> Result<T, OpError> {
  Err(KvError::InvalidEnqueue(message).into())
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
  if delay.is_nan() {
    return invalid("Delay cannot be NaN".into());
  }
  if delay < 0.0 {
    return invalid(format!("Delay must be >= 0: received {shown}"));
  }
  let max = limits.queue_delay_ms;
  if delay > max as f64 {
    const DAY_MS: u64 = 86_400_000;
    let most = if max.is_multiple_of(DAY_MS) {
      format!("{} days", max / DAY_MS)
    } else {
      format!("{max} ms")
    };
    return invalid(format!(
      "Delay cannot be greater than {most}: received {shown}"
    ));
  }
  Ok(delay as u64)
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
  let max = limits.backoff_intervals;
  if array.length() as usize > max {
    return invalid(format!(
      "Invalid backoffSchedule, max {max} intervals allowed"
    ));
  }
  let mut schedule = Vec::with_capacity(array.length() as usize);
  for index in 0..array.length() {
    let interval = array.get_index(scope, index).ok_or(OpError::Pending)?;
    let ms = if interval.is_number() {
      interval.number_value(scope).unwrap_or(f64::NAN)
    } else {
      f64::NAN
    };
    // Also false for NaN.
    if !(0.0..=f64::from(limits.backoff_interval_ms)).contains(&ms) {
      return invalid(format!(
        "Invalid backoffSchedule, interval at index {index} is invalid"
      ));
    }
    schedule.push(ms as u32);
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
  listener: RefCell<Option<Arc<dyn Listener>>>,
  /// Messages that JavaScript has not asked for yet, and those that it is delivering, by number.
  received: RefCell<HashMap<u32, Message>>,
  delivering: RefCell<HashMap<u32, MessageId>>,
  last_number: std::cell::Cell<u32>,
}

impl Listening {
  pub(super) fn new(listener: Arc<dyn Listener>) -> Rc<Self> {
    Rc::new(Self {
      listener: RefCell::new(Some(listener)),
      received: RefCell::default(),
      delivering: RefCell::default(),
      last_number: std::cell::Cell::default(),
    })
  }

  fn listener(&self) -> Option<Arc<dyn Listener>> {
    self.listener.borrow().clone()
  }

  /// Ends the wait for messages.
  pub(super) fn close(&self) {
    if let Some(listener) = self.listener() {
      listener.close();
    }
  }

  /// Lets go of the store. What is still being delivered goes to others.
  pub(super) fn release(&self) {
    self.close();
    let listener = self.listener.borrow_mut().take();
    drop(listener);
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
  let listening = Listening::new(store.listen());
  handle.0.add_listener(&listening);
  let open = state.borrow();
  open.borrow::<OpenHandles>().add_listener(&listening);
  drop(open);
  object(scope, &state, ListenerObject(listening))
}

/// How many handlers one call of `listenQueue` may have at work.
#[op2(fast)]
pub fn op_kv_queue_concurrency(#[cppgc] handle: &HandleObject) -> u32 {
  handle.0.queue_concurrency
}

/// Waits for messages: the number of the last one, and how many there are. None: the queue is closed.
#[op2]
#[serde]
pub fn op_kv_receive(
  #[cppgc] listener: &ListenerObject,
  #[smi] max: u32,
) -> impl Future<Output = Result<(u32, u32), OpError>> + use<> {
  let listening = listener.0.clone();
  async move {
    let answer = match listening.listener() {
      Some(listener) => listener.receive(max as usize),
      None => Answer::Now(Err(StoreError::Stopped)),
    };
    let messages = match answer.wait().await {
      Ok(messages) => messages,
      Err(StoreError::Stopped) => return Ok((0, 0)),
      Err(error) => return Err(error.into()),
    };
    let count = messages.len() as u32;
    let mut last = listening.last_number.get();
    for message in messages {
      last = last.wrapping_add(1);
      listening
        .delivering
        .borrow_mut()
        .insert(last, message.id.clone());
      listening.received.borrow_mut().insert(last, message);
    }
    listening.last_number.set(last);
    Ok((last, count))
  }
}

/// The value of a message that was received.
#[op2(reentrant)]
pub fn op_kv_message<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] listener: &ListenerObject,
  #[smi] number: u32,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let message = listener.0.received.borrow_mut().remove(&number);
  let message = message.ok_or(OpError::Closed(ResourceError::BadResourceId))?;
  v8::tc_scope!(let scope, scope);
  let result = value::to_v8(scope, ValueRef::V8(&message.payload), &Codec::new(codec));
  rethrow(scope, result)
}

/// Ends a delivery.
#[op2]
pub fn op_kv_finish(
  #[cppgc] listener: &ListenerObject,
  #[smi] number: u32,
  delivered: bool,
) -> impl Future<Output = Result<(), OpError>> + use<> {
  let listening = listener.0.clone();
  let id = listening.delivering.borrow_mut().remove(&number);
  let answer = match (listening.listener(), id) {
    (Some(listener), Some(id)) => listener.finish(id, delivered),
    // It was finished before.
    _ => Answer::Now(Ok(())),
  };
  async move { Ok(answer.wait().await?) }
}

/// Nothing is left to receive or to finish.
#[op2(fast)]
pub fn op_kv_release_listener(#[cppgc] listener: &ListenerObject) {
  listener.0.release();
}
