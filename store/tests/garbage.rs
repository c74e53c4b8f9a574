//! Bytes that nobody has written by this library: random ones here, and for longer, led by the branches
//! they reach, in `make fuzz`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "garbage/mod.rs"]
mod garbage;

use proptest::prelude::*;

/// Bytes that are often a valid beginning of something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
  let starts: [&[u8]; 8] = [
    b"",
    b"\xff\x0f",
    b"\xff\x0fo",
    b"\xff\x0fA\x02",
    b"\x02a\0",
    b"\x01",
    b"\x1d\xff",
    b"\x02a\0|\x02b\0|",
  ];
  let random = prop::collection::vec(any::<u8>(), 0..64);
  (prop::sample::select(starts.to_vec()), random).prop_map(|(start, rest)| [start, &rest].concat())
}

proptest! {
  #![proptest_config(ProptestConfig::with_cases(20_000))]

  #[test]
  fn keys(bytes in bytes()) {
    garbage::key(&bytes);
  }

  #[test]
  fn cursors(bytes in bytes()) {
    garbage::cursor(&bytes);
  }

  #[test]
  fn values(bytes in bytes()) {
    garbage::value(&bytes);
  }
}

proptest! {
  #![proptest_config(ProptestConfig::with_cases(40))]

  #[test]
  fn rows(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
    garbage::rows(&bytes);
  }
}

proptest! {
  #![proptest_config(ProptestConfig::with_cases(150))]

  #[test]
  fn schemas(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
    garbage::schema(&bytes);
  }
}
