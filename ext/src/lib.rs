//! Deno KV for any `deno_core` runtime: `Deno.openKv()` on an embedded SQLite store.
//!
//! ```no_run
//! use deno_core::{JsRuntime, RuntimeOptions};
//!
//! let mut runtime = JsRuntime::new(RuntimeOptions {
//!   extensions: vec![kv_ext::init(kv_ext::KvOptions::default())],
//!   ..Default::default()
//! });
//! ```
//!
//! A script in that runtime has `Deno.openKv`, `Deno.Kv`, `Deno.AtomicOperation`,
//! `Deno.KvListIterator` and `Deno.KvU64`, which behave as they do in Deno 2, on files that Deno
//! opens too. The engine is chosen by feature: `v8` (default) or `quickjs`.
//!
//! Calls go one way: `js/` (the shape of arguments, the state of iterators), `ops` (JavaScript
//! values to bytes and back, limits), [`store`] (commit or read).

#![deny(missing_docs)]

mod error;
pub mod key;
mod limits;
mod ops;
mod options;
mod selector;
pub mod store;
mod value;
mod versionstamp;
#[cfg(any(feature = "quickjs", test))]
mod wire;

pub use error::KvError;
pub use limits::Limits;
pub use options::KvOptions;
pub use selector::{Selector, SelectorError};
pub use store::Durability;
pub use value::{Value, ValueDecodeError};
pub use versionstamp::{InvalidVersionstampError, Versionstamp};

use deno_core::Extension;

/// The type declarations of what the extension adds to a script's globals, for editors.
pub const TYPE_DECLARATIONS: &str = include_str!("../js/kv.d.ts");

mod extension {
  use std::borrow::Cow;

  use deno_core::{Extension, ExtensionFileSource, OpState};

  use crate::ops::*;
  use crate::options::KvOptions;

  deno_core::extension!(
    kv_ext,
    ops = [
      op_kv_open,
      op_kv_close,
      op_kv_get,
      op_kv_get_many,
      op_kv_list,
      op_kv_wait_read,
      op_kv_take_read,
      op_kv_cursor,
      op_kv_set,
      op_kv_commit,
      op_kv_wait_commit,
      op_kv_turn,
      op_kv_check_enqueue,
      op_kv_listen,
      op_kv_queue_concurrency,
      op_kv_receive,
      op_kv_message,
      op_kv_finish,
      op_kv_release_listener,
      op_kv_watch,
      op_kv_watch_changed,
      op_kv_watch_read,
      op_kv_watch_close,
      op_kv_serialize,
      op_kv_deserialize,
    ],
    esm_entry_point = "ext:kv_ext/mod.js",
    options = { options: KvOptions },
    state = |state, config| put_state(state, config.options),
    customizer = embed_sources,
    docs = "The extension; [`init`](crate::init) makes one.",
  );

  /// The JS, inside the binary. (What the macro's own `esm = […]` lists is read, each time a
  /// runtime starts without a snapshot, from where the crate's sources were when it was built.)
  fn embed_sources(extension: &mut Extension) {
    macro_rules! sources {
      ($($file:literal),*) => {
        [$(ExtensionFileSource::new(
          concat!("ext:kv_ext/", $file),
          deno_core::ascii_str_include!(concat!("../js/", $file)),
        )),*]
      };
    }
    const SOURCES: &[ExtensionFileSource] = &sources![
      "u64.js",
      "opaque.js",
      "codec.js",
      "value.js",
      "entry.js",
      "turn.js",
      "handle.js",
      "atomic.js",
      "list.js",
      "queue.js",
      "watch.js",
      "kv.js",
      "mod.js"
    ];
    extension.esm_files = Cow::Borrowed(SOURCES);
  }

  fn put_state(state: &mut OpState, options: KvOptions) {
    state.put(options);
    state.put(OpenHandles::default());
  }
}

/// The extension, for a runtime that is made with it.
///
/// ```
/// let extension = kv_ext::init(kv_ext::KvOptions::default().default_path("kv.sqlite3"));
/// assert_eq!(extension.name, "kv_ext");
/// ```
pub fn init(options: KvOptions) -> Extension {
  extension::kv_ext::init(options)
}

/// The extension without its options, to make a snapshot with and to start runtimes from one.
/// [`args`] gives them their options.
pub fn lazy_init() -> Extension {
  extension::kv_ext::lazy_init()
}

/// The options for an extension made by [`lazy_init`]: give them to
/// `JsRuntime::lazy_init_extensions`.
pub fn args(options: KvOptions) -> deno_core::ExtensionArguments {
  extension::kv_ext::args(options)
}
