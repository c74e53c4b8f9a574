//! JavaScript values in, JavaScript values out: the only code that knows `deno_core` and the
//! engine. The JS module in `js/` calls nothing else.

mod codec;
mod handle;
mod key;
#[cfg(not(feature = "quickjs"))]
mod native_clone;
mod object;
mod open;
mod protocol;
mod queue;
mod read;
mod structured_clone;
mod value;
mod watch;
mod write;

use deno_core::v8;

use crate::error::OpError;

pub(crate) use handle::OpenHandles;
pub(crate) use object::ObjectConstructor;
pub(crate) use open::{op_kv_close, op_kv_open, op_kv_opened};
pub(crate) use queue::{
  op_kv_check_enqueue, op_kv_end_delivery, op_kv_listen, op_kv_message, op_kv_receive,
  op_kv_release_listener,
};
pub(crate) use read::{
  op_kv_cursor, op_kv_get, op_kv_get_many, op_kv_list, op_kv_take_read, op_kv_turn, op_kv_wait_read,
};
pub(crate) use value::{op_kv_deserialize, op_kv_serialize};
pub(crate) use watch::{op_kv_watch, op_kv_watch_close, op_kv_watch_next, op_kv_watch_take};
pub(crate) use write::{op_kv_commit, op_kv_set, op_kv_try_commit, op_kv_wait_commit};

/// What an op returns to JavaScript when the engine may have thrown on the way: a getter in a
/// key, an object that can't be cloned. Such an exception goes on as it is; an error of ours that
/// replaced it would hide it.
fn rethrow<'s>(
  scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, 's, v8::HandleScope<'_>>>,
  result: Result<v8::Local<'s, v8::Value>, OpError>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  match result {
    Err(OpError::Pending) if scope.has_caught() || scope.has_terminated() => {
      scope.rethrow();
      // Nobody sees this: the exception is thrown instead.
      Ok(v8::undefined(scope).into())
    }
    result => result,
  }
}
