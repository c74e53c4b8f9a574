use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

/// The order that keys must have: by type, then by value, then by length.
fn compare_parts(a: &KeyPart, b: &KeyPart) -> Ordering {
  fn rank(part: &KeyPart) -> u8 {
    match part {
      KeyPart::Bytes(_) => 0,
      KeyPart::String(_) => 1,
      KeyPart::BigInt(_) => 2,
      KeyPart::Number(_) => 3,
      KeyPart::Bool(_) => 4,
    }
  }
  match (a, b) {
    (KeyPart::Bytes(a), KeyPart::Bytes(b)) => a.cmp(b),
    (KeyPart::String(a), KeyPart::String(b)) => a.as_bytes().cmp(b.as_bytes()),
    (KeyPart::BigInt(a), KeyPart::BigInt(b)) => a.cmp(b),
    (KeyPart::Number(a), KeyPart::Number(b)) => a.total_cmp(b),
    (KeyPart::Bool(a), KeyPart::Bool(b)) => a.cmp(b),
    _ => rank(a).cmp(&rank(b)),
  }
}

fn compare_keys(a: &Key, b: &Key) -> Ordering {
  a.0
    .iter()
    .zip(&b.0)
    .map(|(a, b)| compare_parts(a, b))
    .find(|order| order.is_ne())
    .unwrap_or(a.0.len().cmp(&b.0.len()))
}

fn any_number() -> impl Strategy<Value = f64> {
  prop_oneof![
    any::<f64>(),
    Just(0.0),
    Just(-0.0),
    Just(f64::INFINITY),
    Just(f64::NAN),
    Just(-f64::NAN),
  ]
  // The encoding has one NaN of each sign.
  .prop_map(|number| {
    if number.is_nan() {
      f64::NAN.copysign(number)
    } else {
      number
    }
  })
}

fn any_bigint() -> impl Strategy<Value = BigInt> {
  let length = prop_oneof![0..12usize, 250..=255usize];
  (
    any::<bool>(),
    length.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length)),
  )
    .prop_map(|(negative, bytes)| {
      let sign = if negative {
        num_bigint::Sign::Minus
      } else {
        num_bigint::Sign::Plus
      };
      BigInt::from_bytes_be(sign, &bytes)
    })
}

fn any_part() -> impl Strategy<Value = KeyPart> {
  // Bytes around the escape are where an encoding goes wrong.
  let byte = prop_oneof![Just(0u8), Just(1), Just(0xfe), Just(0xff), any::<u8>()];
  let char = prop_oneof![
    Just('\0'),
    Just('\u{1}'),
    Just('a'),
    Just('\u{ff}'),
    any::<char>()
  ];
  prop_oneof![
    prop::collection::vec(byte, 0..6).prop_map(KeyPart::Bytes),
    prop::collection::vec(char, 0..6)
      .prop_map(|chars| KeyPart::String(chars.into_iter().collect())),
    any_bigint().prop_map(KeyPart::BigInt),
    any_number().prop_map(KeyPart::Number),
    any::<bool>().prop_map(KeyPart::Bool),
  ]
}

fn any_key() -> impl Strategy<Value = Key> {
  prop::collection::vec(any_part(), 0..5).prop_map(Key)
}

/// Equality that tells -0 from 0 and finds NaN equal to itself, as keys do.
fn same(a: &Key, b: &Key) -> bool {
  compare_keys(a, b).is_eq()
}

proptest! {
  #[test]
  fn a_key_survives_a_round_trip(key in any_key()) {
    let bytes = key.encode().unwrap();
    prop_assert!(same(&Key::decode(&bytes).unwrap(), &key));
  }

  #[test]
  fn bytes_sort_as_keys_do(a in any_key(), b in any_key()) {
    prop_assert_eq!(a.encode().unwrap().cmp(&b.encode().unwrap()), compare_keys(&a, &b));
  }

  #[test]
  fn a_prefix_range_holds_the_longer_keys_and_no_others(
    prefix in any_key(), more in any_part(), other in any_key(),
  ) {
    let start = [prefix.encode().unwrap(), vec![0x00]].concat();
    let end = [prefix.encode().unwrap(), vec![0xff]].concat();
    let range = start..end;
    let holds = |key: &Key| range.contains(&key.encode().unwrap());
    let mut longer = prefix.clone();
    longer.0.push(more);
    prop_assert!(holds(&longer));
    prop_assert!(!holds(&prefix));
    let below = other.0.len() > prefix.0.len()
      && same(&Key(other.0[..prefix.0.len()].to_vec()), &prefix);
    prop_assert_eq!(holds(&other), below);
  }

  #[test]
  fn any_bytes_are_a_key_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
    // A key that is decoded sorts as its bytes do, so it is the same when it is decoded again.
    if let Ok(key) = Key::decode(&bytes) {
      prop_assert!(same(&Key::decode(&key.encode().unwrap()).unwrap(), &key));
    }
  }
}

#[test]
fn a_bigint_has_at_most_255_bytes() {
  let largest: BigInt = (BigInt::from(1) << 2040) - 1;
  for fits in [largest.clone(), -largest.clone()] {
    assert!(Key(vec![KeyPart::BigInt(fits)]).encode().is_ok());
  }
  for too_large in [&largest + 1, -largest - 1] {
    assert!(Key(vec![KeyPart::BigInt(too_large)]).encode().is_err());
  }
}

#[test]
fn examples_from_the_format() {
  let key = Key(vec![
    KeyPart::String("a\0b".into()),
    KeyPart::Bytes(vec![1, 0]),
    KeyPart::BigInt(BigInt::from(-256)),
    KeyPart::Number(1.0),
    KeyPart::Bool(true),
  ]);
  assert_eq!(
    key.encode().unwrap(),
    b"\x02a\x00\xffb\x00\x01\x01\x00\xff\x00\x12\xfe\xff\x21\xbf\xf0\x00\x00\x00\x00\x00\x00\x27"
  );
}
