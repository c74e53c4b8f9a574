//! Deno KV over a network.
//!
//! [`protocol`] is KV Connect, the protocol that Deno and `@deno/kv` speak; [`client`] makes a remote database an
//! engine of [`kv_store`]; [`server`] serves databases of any engine to clients of all kinds.
//!
//! Beyond the protocol, a client and a server of this crate know two extensions, which others don't see: messages of
//! the queue can be received, and a write whose answer was lost is not done twice. `docs/kv-connect.md` in the
//! repository describes both.

#![deny(missing_docs, missing_debug_implementations)]

pub mod protocol;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
