use kv_store::engine::{ErrorKind, MutationKind};
use kv_store::{JsValue, Value};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  sum_of_a_missing_key_is_the_operand,
  sum_adds_and_wraps,
  min_keeps_the_smaller,
  max_keeps_the_larger,
  bigints_are_added,
  numbers_are_added,
  kinds_are_not_mixed,
  operands_must_be_numbers,
  stored_value_must_be_a_number,
  combining_removes_the_expiry,
];

fn sum(number: impl Into<Value>) -> MutationKind {
  MutationKind::Sum(number.into())
}

fn after(db: &Database, kinds: impl IntoIterator<Item = MutationKind>) -> Option<Value> {
  for kind in kinds {
    put(&db.a, [mutation("n", kind)]);
  }
  value(&db.a, "n")
}

fn bigint(number: i64) -> Value {
  Value::from(JsValue::BigInt(number.into()))
}

fn sum_of_a_missing_key_is_the_operand(db: &Database) {
  assert_eq!(after(db, [sum(Value::U64(7))]), Some(Value::U64(7)));
}

fn sum_adds_and_wraps(db: &Database) {
  let two = [sum(Value::U64(7)), sum(Value::U64(5))];
  assert_eq!(after(db, two), Some(Value::U64(12)));
  assert_eq!(after(db, [sum(Value::U64(u64::MAX))]), Some(Value::U64(11)));
}

fn min_keeps_the_smaller(db: &Database) {
  let min = |number| MutationKind::Min(Value::U64(number));
  for (operand, expected) in [(7, 7), (9, 7), (3, 3)] {
    assert_eq!(after(db, [min(operand)]), Some(Value::U64(expected)));
  }
}

fn max_keeps_the_larger(db: &Database) {
  let max = |number| MutationKind::Max(Value::U64(number));
  for (operand, expected) in [(7, 7), (3, 7), (9, 9)] {
    assert_eq!(after(db, [max(operand)]), Some(Value::U64(expected)));
  }
}

fn bigints_are_added(db: &Database) {
  assert_eq!(
    after(db, [sum(bigint(7)), sum(bigint(-10))]),
    Some(bigint(-3))
  );
}

fn numbers_are_added(db: &Database) {
  let two = [sum(1.5), sum(0.25)];
  let found = after(db, two).unwrap();
  assert_eq!(found.deserialize::<f64>().unwrap(), 1.75);
}

fn kinds_are_not_mixed(db: &Database) {
  put(&db.a, [mutation("n", sum(bigint(1)))]);
  for kind in [sum(1.5), sum(Value::U64(1))] {
    let error = fails(&db.a, [mutation("n", kind)]);
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
  }
  assert_eq!(value(&db.a, "n"), Some(bigint(1)));
}

fn operands_must_be_numbers(db: &Database) {
  for kind in [
    MutationKind::Sum(bytes("1")),
    MutationKind::Min(bytes("1")),
    MutationKind::Max(bigint(1)),
  ] {
    let error = fails(&db.a, [mutation("n", kind)]);
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
  }
  assert_eq!(value(&db.a, "n"), None);
}

fn stored_value_must_be_a_number(db: &Database) {
  put(&db.a, [set("n", "text")]);
  for kind in [
    MutationKind::Sum(Value::U64(1)),
    MutationKind::Min(Value::U64(1)),
    MutationKind::Max(Value::U64(1)),
    sum(bigint(1)),
  ] {
    let error = fails(&db.a, [mutation("n", kind)]);
    assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
  }
  assert_eq!(text(&db.a, "n").as_deref(), Some("text"));
}

fn combining_removes_the_expiry(db: &Database) {
  let mut set = mutation("n", MutationKind::Set(Value::U64(1)));
  set.expire_at = Some(db.now_ms() + 1000);
  put(&db.a, [set]);
  put(&db.a, [mutation("n", sum(Value::U64(1)))]);
  db.advance(1100);
  assert_eq!(value(&db.a, "n"), Some(Value::U64(2)));
}
