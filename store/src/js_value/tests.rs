use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = JsValue> {
  let leaf = prop_oneof![
    Just(JsValue::Undefined),
    Just(JsValue::Null),
    any::<bool>().prop_map(JsValue::Bool),
    any::<f64>().prop_map(JsValue::Number),
    any::<i32>().prop_map(JsValue::from),
    any::<i128>().prop_map(|n| JsValue::BigInt(BigInt::from(n) * BigInt::from(n) * n)),
    any::<String>().prop_map(JsValue::String),
    any::<f64>().prop_map(JsValue::Date),
    any::<Vec<u8>>().prop_map(JsValue::Bytes),
  ];
  leaf.prop_recursive(5, 60, 6, |inner| {
    let pair = (any::<String>(), inner.clone());
    prop_oneof![
      prop::collection::vec(inner.clone(), 0..6).prop_map(JsValue::Array),
      prop::collection::vec(inner.clone(), 0..6).prop_map(JsValue::Set),
      prop::collection::vec(pair, 0..6).prop_map(JsValue::Object),
      prop::collection::vec((inner.clone(), inner), 0..6).prop_map(JsValue::Map),
    ]
  })
}

proptest! {
  #[test]
  fn values_survive(value in value()) {
    let back = Value::from(value.clone()).to_js().unwrap();
    // By its text: one NaN is not equal to another.
    prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
  }

  #[test]
  fn garbage_never_panics(bytes in any::<Vec<u8>>()) {
    let _ = Value::V8(bytes.clone()).to_js();
    let _ = Value::V8([&[0xff, 15], bytes.as_slice()].concat()).to_js();
  }

  #[test]
  fn a_corrupted_clone_never_panics(
    value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
  ) {
    let Value::V8(mut bytes) = Value::from(JsValue::Array(vec![value])) else { unreachable!() };
    let at = at.index(bytes.len());
    bytes[at] = byte;
    let _ = Value::V8(bytes).to_js();
  }
}

fn clone(body: &[u8]) -> Value {
  Value::V8([&[0xff, 15], body].concat())
}

#[test]
fn a_repeated_object_is_copied() {
  // [a, a], where a is {x: 1}.
  let value = clone(b"A\x02o\"\x01xI\x02{\x01^\x01$\x00\x02");
  let a = JsValue::object([("x", JsValue::from(1))]);
  assert_eq!(value.to_js(), Ok(JsValue::Array(vec![a.clone(), a])));
}

#[test]
fn a_value_without_a_rust_form_is_an_error() {
  // An array that holds itself.
  let held = clone(b"A\x01^\x00$\x00\x01").to_js();
  assert_eq!(
    held,
    Err(JsValueError::NoRustForm("an object that holds itself"))
  );
  let error = clone(b"r.").to_js();
  assert_eq!(error, Err(JsValueError::NoRustForm("an Error")));
}

#[test]
fn huge_and_deep_clones_are_refused() {
  // Each array refers twice to the one before it: fully read, there would be 2^40 of them.
  let mut body = b"A\x29A\x00$\x00\x00".to_vec();
  for number in 1..=40 {
    body.extend([b'A', 2, b'^', number, b'^', number, b'$', 0, 2]);
  }
  body.extend(b"$\x00\x29");
  assert!(matches!(
    clone(&body).to_js(),
    Err(JsValueError::NoRustForm(_))
  ));
  let deep = clone(&b"A\x01".repeat(100_000)).to_js();
  assert_eq!(deep, Err(JsValueError::TooDeep));
}

#[test]
fn integers_beyond_what_a_number_holds_are_bigints() {
  for number in [0, 1, (1 << 53) - 1, 1 << 53, u64::MAX] {
    let value = Value::serialize(&number).unwrap();
    assert_eq!(value.deserialize::<u64>().unwrap(), number);
  }
  let max = Value::serialize(&u64::MAX).unwrap().to_js().unwrap();
  assert_eq!(max, JsValue::BigInt(u64::MAX.into()));
  assert_eq!(Value::U64(7).deserialize::<u8>(), Ok(7));
}
