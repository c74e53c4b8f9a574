//! A remote database as an engine of [`kv_store`].
//!
//! | room | what happens in it |
//! |---|---|
//! | `options.rs`, `open.rs` | how a database is opened |
//! | `backend.rs`, `order.rs` | the engine: its calls, and which of them wait for one another |
//! | `watch.rs`, `queue.rs` | streams of changes and of messages, across broken connections |
//! | `remote.rs`, `retry.rs`, `endpoints.rs`, `metadata.rs` | one call: where it goes, with which token, and when it is repeated |
//! | `transport.rs`, `http.rs`, `runtime.rs` | requests, and the thread that sends them |
//!
//! All remote databases of a process share one thread, with an event loop of its own: a call is done also if nobody
//! waits for its answer, and from programs without an event loop.

mod backend;
mod endpoints;
#[cfg(feature = "http")]
mod http;
mod metadata;
mod open;
mod options;
mod order;
mod queue;
mod remote;
mod retry;
mod runtime;
mod transport;
mod watch;

pub use open::{Connect, open};
pub use options::ClientOptions;
pub use transport::{BodyStream, Transport, TransportError};
