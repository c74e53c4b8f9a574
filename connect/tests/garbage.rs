//! Bytes of any kind, where messages are expected: refused, or read, and never a panic.

#![allow(
  clippy::expect_used,
  clippy::panic,
  clippy::unwrap_used,
  reason = "a test fails by panicking"
)]

#[path = "support/garbage.rs"]
mod bodies;

use bodies::{METHODS, read_request, read_response};
use proptest::prelude::*;

/// Bytes that are nearly messages: fields of low numbers with lengths that often fit.
fn nearly_a_message() -> impl Strategy<Value = Vec<u8>> {
  let field = (1..9u8, 0..3u8, prop::collection::vec(any::<u8>(), 0..12)).prop_map(
    |(number, kind, bytes)| match kind {
      0 => vec![number << 3, bytes.first().copied().unwrap_or(0)],
      _ => [&[(number << 3) | 2, bytes.len() as u8][..], &bytes].concat(),
    },
  );
  let fields = prop::collection::vec(field, 0..12).prop_map(|fields| fields.concat());
  // Such fields inside one another.
  (fields.clone(), fields, 1..9u8).prop_map(|(outer, inner, number)| {
    let inner = &inner[..inner.len().min(127)];
    [&outer[..], &[(number << 3) | 2, inner.len() as u8], inner].concat()
  })
}

proptest! {
  #![proptest_config(ProptestConfig::with_cases(2_000))]

  #[test]
  fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
    for method in METHODS {
      read_request(method, &bytes);
    }
    read_response(&bytes);
  }

  #[test]
  fn near_messages(bytes in nearly_a_message()) {
    for method in METHODS {
      read_request(method, &bytes);
    }
    read_response(&bytes);
  }
}
