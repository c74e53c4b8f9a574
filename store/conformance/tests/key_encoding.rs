//! Keys are encoded as Deno's own crate encodes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kv_store::{Key, KeyPart};
use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

fn any_part() -> impl Strategy<Value = KeyPart> {
  // Bytes around the escape are where an encoding goes wrong.
  let byte = prop_oneof![Just(0u8), Just(1), Just(0xfe), Just(0xff), any::<u8>()];
  let bytes = prop::collection::vec(byte, 0..6);
  let chars = prop::collection::vec(prop_oneof![Just('\0'), any::<char>()], 0..6);
  let length = prop_oneof![0..12usize, 250..=255usize];
  let digits = length.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length));
  let bigint = (any::<bool>(), digits).prop_map(|(is_negative, digits)| {
    let sign = if is_negative { Sign::Minus } else { Sign::Plus };
    BigInt::from_bytes_be(sign, &digits)
  });
  prop_oneof![
    bytes.prop_map(KeyPart::Bytes),
    chars.prop_map(|chars| KeyPart::String(chars.into_iter().collect())),
    bigint.prop_map(KeyPart::BigInt),
    prop_oneof![any::<f64>(), Just(0.0), Just(-0.0), Just(f64::INFINITY)]
      .prop_filter("NaN has one form here", |number| !number.is_nan())
      .prop_map(KeyPart::Number),
    any::<bool>().prop_map(KeyPart::Bool),
  ]
}

fn peer_key(key: &Key) -> denokv_proto::Key {
  use denokv_proto::KeyPart as Peer;
  let parts = key.0.iter().map(|part| match part.clone() {
    KeyPart::Bytes(bytes) => Peer::Bytes(bytes),
    KeyPart::String(string) => Peer::String(string),
    KeyPart::BigInt(bigint) => Peer::Int(bigint),
    KeyPart::Number(number) => Peer::Float(number),
    KeyPart::Bool(false) => Peer::False,
    KeyPart::Bool(true) => Peer::True,
  });
  denokv_proto::Key(parts.collect())
}

proptest! {
  #[test]
  fn the_encoding_is_denos(parts in prop::collection::vec(any_part(), 0..5)) {
    let key = Key(parts);
    let bytes = key.encode().unwrap();
    prop_assert_eq!(&bytes, &denokv_proto::encode_key(&peer_key(&key)).unwrap());
    let read = denokv_proto::decode_key(&bytes).unwrap();
    prop_assert_eq!(denokv_proto::encode_key(&read).unwrap(), bytes);
  }

  #[test]
  fn the_same_bytes_are_keys(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
    let ours = Key::decode(&bytes);
    let theirs = denokv_proto::decode_key(&bytes);
    prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs.is_ok());
  }
}
