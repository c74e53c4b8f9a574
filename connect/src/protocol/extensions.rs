use std::fmt;

/// The header by which client and server tell each other in the metadata exchange what they know beyond the protocol.
/// Others ignore it.
pub const HEADER_EXTENSIONS: &str = "x-kv-extensions";
/// The header with the id of an atomic write: 32 hexadecimal digits.
pub const HEADER_WRITE_ID: &str = "x-kv-write-id";
/// The header by which a server says what kind of error an answer is.
pub const HEADER_ERROR_KIND: &str = "x-kv-error-kind";

/// What a peer knows beyond the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
  /// `queue/1`: messages can be received.
  pub queue: bool,
  /// `idempotency/1`: a write with an id is done once, however often it is asked for within ten minutes.
  pub idempotency: bool,
}

const QUEUE: &str = "queue/1";
const IDEMPOTENCY: &str = "idempotency/1";

impl Extensions {
  /// All that this crate knows.
  pub const ALL: Self = Self {
    queue: true,
    idempotency: true,
  };

  /// Reads the header. What is unknown in it is left out.
  pub fn parse(header: &str) -> Self {
    let mut found = Self::default();
    for name in header.split(',').map(str::trim) {
      match name {
        QUEUE => found.queue = true,
        IDEMPOTENCY => found.idempotency = true,
        _ => {}
      }
    }
    found
  }

  /// Whether there is one.
  pub fn is_empty(self) -> bool {
    self == Self::default()
  }
}

impl fmt::Display for Extensions {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let names = [(self.queue, QUEUE), (self.idempotency, IDEMPOTENCY)];
    let names = names.iter().filter(|(is_known, _)| *is_known);
    let names: Vec<_> = names.map(|(_, name)| *name).collect();
    f.write_str(&names.join(", "))
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn what_is_unknown_is_left_out() {
    assert_eq!(
      Extensions::parse(&Extensions::ALL.to_string()),
      Extensions::ALL
    );
    let some = Extensions::parse("watch-prefix/1, queue/2,queue/1 ");
    assert_eq!(some.to_string(), "queue/1");
    assert!(Extensions::parse("").is_empty());
  }
}
