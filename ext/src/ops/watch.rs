use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use deno_core::{GarbageCollected, OpState, op2, v8};
use kv_store::KvError;
use kv_store::engine::Held;
use kv_store::session::WatchStates;

use super::codec::Codec;
use super::handle::{Dependent, Handle, HandleObject};
use super::object::object;
use super::{key, read, rethrow};
use crate::error::OpError;

/// What is behind one call of `watch`.
pub(super) struct Watching {
  keys: Vec<Vec<u8>>,
  states: WatchStates,
  /// The state that JavaScript has not taken yet.
  next: RefCell<Option<Vec<Option<Held>>>>,
}

impl Dependent for Watching {
  fn close(&self) {
    self.states.close();
  }
}

/// The object that `js/` has for a call of `watch`.
pub(crate) struct WatcherObject(RefCell<Option<Rc<Watching>>>);

// SAFETY: `trace` must visit every reference to the JavaScript heap that the object holds. There is
// none: `Watching` holds Rust values only. (The trait itself is unsafe.)
unsafe impl GarbageCollected for WatcherObject {
  fn trace(&self, _visitor: &mut v8::cppgc::Visitor) {}

  fn get_name(&self) -> &'static std::ffi::CStr {
    c"KvWatcher"
  }
}

/// Begins to watch keys. With `raw`, also a state is told that is the same as the one before.
#[op2(reentrant)]
pub fn op_kv_watch<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  state: Rc<RefCell<OpState>>,
  #[cppgc] handle: &HandleObject,
  keys: v8::Local<'s, v8::Value>,
  raw: bool,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let handle = handle.0.clone();
  v8::tc_scope!(let scope, scope);
  let watching = watch(scope, &handle, keys, raw)
    .and_then(|watching| object(scope, &state, WatcherObject(RefCell::new(Some(watching)))));
  rethrow(scope, watching)
}

fn watch(
  scope: &mut v8::PinScope<'_, '_>,
  handle: &Rc<Handle>,
  keys: v8::Local<v8::Value>,
  raw: bool,
) -> Result<Rc<Watching>, OpError> {
  let keys = key::key_list(scope, keys)?;
  let max = handle.limits.watch_keys;
  if keys.len() > max {
    return Err(KvError::TooManyKeys(max).into());
  }
  for key in &keys {
    handle.limits.check_read_key(key)?;
  }
  let store = handle.store()?.clone();
  let watching = Rc::new(Watching {
    states: WatchStates::new(store, keys.clone(), raw)?,
    keys,
    next: RefCell::default(),
  });
  handle.add(&(watching.clone() as Rc<dyn Dependent>));
  Ok(watching)
}

/// Waits for the next state of the keys. False: the handle is closed, or there are no keys.
#[op2]
pub fn op_kv_watch_next(
  #[cppgc] watcher: &WatcherObject,
) -> impl Future<Output = Result<bool, OpError>> + use<> {
  let watching = watcher.0.borrow().clone();
  async move {
    let Some(watching) = watching else {
      return Ok(false);
    };
    let next = watching.states.next().await?;
    let is_there = next.is_some();
    *watching.next.borrow_mut() = next;
    Ok(is_there)
  }
}

/// The state that was waited for: the entries of the keys, flat.
#[op2(reentrant)]
pub fn op_kv_watch_take<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] watcher: &WatcherObject,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let watching = watcher.0.borrow().clone();
  let state = watching
    .as_ref()
    .and_then(|watching| watching.next.borrow_mut().take());
  let (Some(watching), Some(state)) = (watching, state) else {
    // It was closed meanwhile.
    return Ok(v8::null(scope).into());
  };
  v8::tc_scope!(let scope, scope);
  let result = read::state_to_v8(scope, &watching.keys, &state, &Codec::new(codec));
  rethrow(scope, result)
}

/// Gives the store up.
#[op2(fast)]
pub fn op_kv_watch_close(#[cppgc] watcher: &WatcherObject) {
  if let Some(watching) = watcher.0.borrow_mut().take() {
    watching.close();
  }
}
