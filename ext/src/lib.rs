//! Deno KV for any `deno_core` runtime: `Deno.openKv()` on an embedded SQLite store, and the same store
//! from Rust.
//!
//! # A script with a store
//!
//! ```
//! use deno_core::{JsRuntime, PollEventLoopOptions, RuntimeOptions, url::Url};
//! use kv_ext::KvOptions;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::TempDir::new()?;
//! # let file = folder.path().join("kv.sqlite3");
//! let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! tokio.block_on(async {
//!   let mut runtime = JsRuntime::new(RuntimeOptions {
//!     extensions: vec![kv_ext::init(KvOptions::default().default_path(file))],
//!     ..Default::default()
//!   });
//!   let code = r#"
//!     const kv = await Deno.openKv();
//!     const { value } = await kv.get(["runs"]);
//!     await kv.set(["runs"], (value ?? 0) + 1);
//!     kv.close();
//!   "#;
//!   let url = Url::parse("file:///main.js")?;
//!   let module = runtime.load_main_es_module_from_code(&url, code).await?;
//!   let evaluated = runtime.mod_evaluate(module);
//!   runtime.run_event_loop(PollEventLoopOptions::default()).await?;
//!   Ok(evaluated.await?)
//! })
//! # }
//! ```
//!
//! A script in that runtime has `Deno.openKv`, `Deno.Kv`, `Deno.AtomicOperation`,
//! `Deno.KvListIterator` and `Deno.KvU64`, which behave as they do in Deno 2, on files that Deno
//! opens too. A `globalThis.Deno` that is there is added to; where there is none it is made; nothing else
//! of the global object is touched. [`TYPE_DECLARATIONS`] are for editors and `tsc`.
//!
//! The extension needs no other of Deno's, and may stand before or after them. Only `watch` needs a
//! `ReadableStream` on the global object, which `deno_web` brings. For a runtime that starts from a
//! snapshot there are [`lazy_init`] and [`args`].
//!
//! # The same store from Rust
//!
//! ```
//! use kv_ext::{Store, Value, key};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kv_ext::KvError> {
//! # let folder = tempfile::TempDir::new().unwrap();
//! # let file = folder.path().join("kv.sqlite3");
//! let store = Store::open(file)?;
//! store.set(key!["runs"], 7).await?;
//! let runs = store.get(key!["runs"]).await?;
//! assert_eq!(runs.unwrap().value.deserialize::<u32>()?, 7);
//! # Ok(())
//! # }
//! ```
//!
//! [`Store`] has what a script has: get, list, atomic operations, the queue, and `watch` as a `Stream`. All
//! who open a file in a process, runtimes on any thread and Rust, share one writer and one notifier;
//! [`KvOptions::default_store`] shares a database in memory too.
//!
//! # What an embedder decides
//!
//! [`KvOptions`]: which database a script without a path gets, which may be opened at all (a hook), what a
//! write survives ([`Durability`]), [`Limits`], how many queue handlers are at work, and the clock.
//! Every operation is a `tracing` span.
//!
//! A runtime that is dropped lets go of everything, with or without `close()`. Writes that were begun are
//! finished; messages that handlers were at work on go to whoever listens next.
//!
//! # Errors
//!
//! [`KvError`] is every error there is, with the class and the message that a Deno user knows. After an
//! error nothing of a write is stored. No input, from a script or from a file, makes the crate panic.
//!
//! # Remote databases
//!
//! With the feature `remote`, `Deno.openKv("https://…")` opens a database of another machine by KV Connect, and
//! [`KvOptions`] has a method `remote` with tokens, transport and a hook for URLs. The feature `remote-transport` leaves
//! HTTP and TLS to a transport of the embedder's. Without both, such a call rejects.
//!
//! # Engines
//!
//! The engine is chosen by feature: `v8` (default) or `quickjs`. Files are the same with both.
//!
//! # For those who read the source
//!
//! Calls go one way: `js/` (the shape of arguments, the state of iterators), `ops` (JavaScript
//! values to bytes and back, limits), and the crate [`kv_store`] (commit or read), which knows no JavaScript.

#![deny(missing_docs, missing_debug_implementations)]

#[cfg(all(feature = "v8", feature = "quickjs"))]
compile_error!(
  "kv_ext has one JavaScript engine at a time: for QuickJS, switch the default features off and the feature `quickjs` on"
);

mod error;
mod ops;
mod options;

pub use deno_core::url::Url;
pub use deno_error::JsErrorBox;
#[cfg(feature = "remote-transport")]
pub use kv_connect::client::{ClientOptions, Connect, Transport, TransportError};
pub use kv_store::{
  Atomic, Builder, Consistency, Deliveries, Delivery, Durability, Entry, InvalidVersionstampError,
  JsValue, JsValueError, Key, KeyPart, KvError, Limits, List, ListOptions, Location,
  MessageOptions, Selector, SelectorError, Stats, Store, Value, ValueDecodeError, ValueRef,
  Versionstamp, Watch, key,
};
pub use options::KvOptions;

/// The storage engine: the trait of engines, and SQLite.
pub mod store {
  pub use kv_store::engine::*;
  pub use kv_store::sqlite;
}

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
      op_kv_opened,
      op_kv_close,
      op_kv_get,
      op_kv_get_many,
      op_kv_list,
      op_kv_wait_read,
      op_kv_take_read,
      op_kv_cursor,
      op_kv_set,
      op_kv_commit,
      op_kv_try_commit,
      op_kv_wait_commit,
      op_kv_turn,
      op_kv_check_enqueue,
      op_kv_listen,
      op_kv_receive,
      op_kv_message,
      op_kv_end_delivery,
      op_kv_release_listener,
      op_kv_watch,
      op_kv_watch_next,
      op_kv_watch_take,
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
      "classes.js",
      "opaque.js",
      "codec.js",
      "value.js",
      "protocol.js",
      "entry.js",
      "turn.js",
      "handle.js",
      "settle.js",
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
    state.put(ObjectConstructor::default());
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
