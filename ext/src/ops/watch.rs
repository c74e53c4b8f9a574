use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use deno_core::{GarbageCollected, OpState, op2, v8};
use kv_store::KvError;
use kv_store::engine::{ReadRange, Watcher};

use super::codec::Codec;
use super::handle::{Handle, HandleObject};
use super::object::object;
use super::{key, read, rethrow};
use crate::error::OpError;

/// What is behind one call of `watch`.
pub(super) struct Watching {
  handle: Rc<Handle>,
  keys: Vec<Vec<u8>>,
  watcher: Rc<Watcher>,
}

impl Watching {
  pub(super) fn close(&self) {
    self.watcher.close();
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

/// Begins to watch keys.
#[op2(reentrant)]
pub fn op_kv_watch<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  state: Rc<RefCell<OpState>>,
  #[cppgc] handle: &HandleObject,
  keys: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let handle = handle.0.clone();
  v8::tc_scope!(let scope, scope);
  let watching = watch(scope, &handle, keys)
    .and_then(|watching| object(scope, &state, WatcherObject(RefCell::new(Some(watching)))));
  rethrow(scope, watching)
}

fn watch(
  scope: &mut v8::PinScope<'_, '_>,
  handle: &Rc<Handle>,
  keys: v8::Local<v8::Value>,
) -> Result<Rc<Watching>, OpError> {
  let keys = key::key_list(scope, keys)?;
  let max = handle.limits.watch_keys;
  if keys.len() > max {
    return Err(KvError::TooManyKeys(max).into());
  }
  for key in &keys {
    handle.limits.check_read_key(key)?;
  }
  let watcher = Rc::new(handle.store()?.watch(keys.clone()));
  let watching = Rc::new(Watching {
    handle: handle.clone(),
    keys,
    watcher,
  });
  handle.add_watcher(&watching);
  Ok(watching)
}

/// Waits until a key may have changed. False once the handle is closed.
#[op2]
pub fn op_kv_watch_changed(#[cppgc] watcher: &WatcherObject) -> impl Future<Output = bool> + use<> {
  let watching = watcher.0.borrow().clone();
  async move {
    match watching {
      Some(watching) => watching.watcher.changed().await,
      None => false,
    }
  }
}

/// What the keys are now: their entries, flat, or a ticket.
#[op2(reentrant)]
pub fn op_kv_watch_read<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] watcher: &WatcherObject,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let watching = watcher.0.borrow().clone();
  let Some(watching) = watching else {
    return Ok(v8::null(scope).into());
  };
  v8::tc_scope!(let scope, scope);
  let ranges = watching.keys.iter().cloned().map(ReadRange::point);
  let result = read::read_points(
    scope,
    &watching.handle,
    ranges.collect(),
    &Codec::new(codec),
  );
  rethrow(scope, result)
}

/// Lets go of the store.
#[op2(fast)]
pub fn op_kv_watch_close(#[cppgc] watcher: &WatcherObject) {
  if let Some(watching) = watcher.0.borrow_mut().take() {
    watching.close();
  }
}
