//! The bodies of the targets: those of store/tests/garbage.rs and connect/tests/garbage.rs.

#[path = "../../store/tests/garbage/mod.rs"]
mod garbage;

pub use garbage::*;

#[path = "../../connect/tests/support/garbage.rs"]
mod messages;

/// What a server of KV Connect reads of a client, and a client of a server.
pub fn connect(bytes: &[u8]) {
  if let Some((choice, bytes)) = bytes.split_first() {
    match messages::METHODS.get(usize::from(*choice)) {
      Some(method) => messages::read_request(method, bytes),
      None => messages::read_response(bytes),
    }
  }
}
