//! The extension `queue/1`: one call that receives messages, ends deliveries and renews leases (docs/kv-connect.md).

mod exchange;
mod session;
mod sessions;

pub(super) use exchange::answer;
pub(super) use sessions::Sessions;
