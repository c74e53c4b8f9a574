//! The objects that JavaScript has for Rust values: those of handles, watchers and listeners. The garbage
//! collector knows them, and with them goes the value.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{GarbageCollected, OpState, cppgc, v8};

use crate::error::OpError;

/// What makes such objects, in a runtime that has made one.
#[derive(Default)]
pub(crate) struct ObjectConstructor(#[cfg(feature = "quickjs")] Option<v8::Global<v8::Function>>);

/// The object for a value.
#[cfg(not(feature = "quickjs"))]
pub(super) fn object<'s, T: GarbageCollected + 'static>(
  scope: &mut v8::PinScope<'s, '_>,
  _state: &Rc<RefCell<OpState>>,
  value: T,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  Ok(cppgc::make_cppgc_object(scope, value).into())
}

/// The object for a value. `deno_core` makes a native function for each, and on QuickJS a thread can't
/// have more than 65,536 of those: `deno_core` would panic. So one serves for all.
#[cfg(feature = "quickjs")]
pub(super) fn object<'s, T: GarbageCollected + 'static>(
  scope: &mut v8::PinScope<'s, '_>,
  state: &Rc<RefCell<OpState>>,
  value: T,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let known = state.borrow().borrow::<ObjectConstructor>().0.clone();
  let constructor = match known {
    Some(constructor) => v8::Local::new(scope, constructor),
    None => {
      let made = v8::FunctionTemplate::new(scope, construct).get_function(scope);
      let constructor = made.ok_or(OpError::Pending)?;
      let kept = v8::Global::new(scope, constructor);
      state.borrow_mut().put(ObjectConstructor(Some(kept)));
      constructor
    }
  };
  let object = constructor.new_instance(scope, &[]);
  let object = object.ok_or(OpError::Pending)?;
  Ok(cppgc::wrap_object(scope, object, value).into())
}

#[cfg(feature = "quickjs")]
fn construct(
  _scope: &mut v8::PinScope<'_, '_>,
  _arguments: v8::FunctionCallbackArguments<'_>,
  _result: v8::ReturnValue<'_>,
) {
}
