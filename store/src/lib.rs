//! The store behind `Deno.openKv()`, from Rust: keys of typed parts, kept in order, values that JavaScript can
//! clone, atomic operations, expiry, queues and `watch`, on a SQLite file that Deno opens too. No JavaScript engine
//! is linked.
//!
//! ```
//! use kv_store::{Store, Value, key};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kv_store::KvError> {
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
//! [`Store`] is the API for programs; [`Store::builder`] has the options for opening a file. [`engine`] holds the trait of engines and what they share, [`sqlite`] the
//! engine on SQLite, [`session`] what clients in other languages share with [`Store`], and [`wire`] V8's format of
//! structured clones. The crate `kv_ext` puts the same store into a
//! `deno_core` runtime: in a process, scripts and Rust share one writer and one notifier.
//!
//! # Building SQLite
//!
//! SQLite is built from source. Three flags make it faster here: put
//! `LIBSQLITE3_FLAGS = "-DHAVE_FDATASYNC=1 -DSQLITE_DEFAULT_MEMSTATUS=0 -USQLITE_ENABLE_MEMORY_MANAGEMENT"` into the
//! `[env]` of your `.cargo/config.toml`. Without them everything works, and a commit takes longer.

#![deny(missing_docs, missing_debug_implementations)]

/// The README's Rust is compiled and run like the rest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod client;
mod conversions;
pub mod engine;
mod error;
mod js_value;
pub mod key;
mod limit_checks;
mod limits;
mod location;
mod selector;
pub mod session;
pub mod sqlite;
mod value;
mod versionstamp;
pub mod wire;

pub use client::{
  Atomic, Builder, Deliveries, Delivery, Entry, List, ListOptions, MessageOptions, Store, Watch,
};
pub use engine::{Consistency, Durability, Stats};
pub use error::{ErrorClass, KvError, shown_key};
pub use js_value::{JsValue, JsValueError};
pub use key::{Key, KeyPart};
pub use limits::Limits;
pub use location::Location;
pub use selector::{Selector, SelectorError};
pub use value::{Value, ValueDecodeError, ValueRef};
pub use versionstamp::{InvalidVersionstampError, Versionstamp};
