use kv_store::engine::{Consistency, MutationKind, ReadOptions, ReadRange};
use kv_store::{JsValue, Value};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  missing_key_is_not_there,
  value_and_versionstamp_are_read,
  every_kind_of_value_is_kept,
  large_value_is_kept,
  empty_value_is_kept,
  start_is_included_and_end_is_not,
  limit_ends_a_range,
  reverse_goes_from_the_end,
  empty_and_inverted_ranges_are_empty,
  keys_are_in_the_order_of_their_bytes,
  point_range_holds_one_key,
  ranges_are_answered_in_order,
  ranges_may_overlap,
  long_ranges_are_whole,
  eventual_reads_are_answered,
  no_ranges_are_no_answer,
];

fn missing_key_is_not_there(db: &Database) {
  assert_eq!(get(&db.a, "a"), None);
  assert!(keys(&db.a, range("", "z", 10)).is_empty());
}

fn value_and_versionstamp_are_read(db: &Database) {
  let versionstamp = put(&db.a, [set("a", "1")]);
  let held = get(&db.a, "a").unwrap();
  assert_eq!(held.value, bytes("1"));
  assert_eq!(held.versionstamp, versionstamp);
}

fn every_kind_of_value_is_kept(db: &Database) {
  let values = [
    Value::U64(0),
    Value::U64(u64::MAX),
    Value::Bytes(vec![0, 255]),
    Value::from(JsValue::Null),
    Value::from("text"),
  ];
  for value in values {
    let kind = MutationKind::Set(value.clone());
    put(&db.a, [mutation("a", kind)]);
    assert_eq!(crate::kit::value(&db.a, "a"), Some(value));
  }
}

fn large_value_is_kept(db: &Database) {
  let large = Value::Bytes((0..65_536_u32).map(|i| (i % 251) as u8).collect());
  put(&db.a, [mutation("a", MutationKind::Set(large.clone()))]);
  assert_eq!(value(&db.a, "a"), Some(large));
}

fn empty_value_is_kept(db: &Database) {
  put(&db.a, [set("a", "")]);
  assert_eq!(text(&db.a, "a").as_deref(), Some(""));
}

fn start_is_included_and_end_is_not(db: &Database) {
  put(&db.a, [set("a", ""), set("b", ""), set("c", "")]);
  assert_eq!(keys(&db.a, range("a", "c", 10)), ["a", "b"]);
  assert_eq!(keys(&db.a, range("b", "b\0", 10)), ["b"]);
}

fn limit_ends_a_range(db: &Database) {
  put(&db.a, [set("a", ""), set("b", ""), set("c", "")]);
  assert_eq!(keys(&db.a, range("a", "z", 2)), ["a", "b"]);
  assert_eq!(keys(&db.a, range("a", "z", 3)), ["a", "b", "c"]);
}

fn reverse_goes_from_the_end(db: &Database) {
  put(&db.a, [set("a", ""), set("b", ""), set("c", "")]);
  assert_eq!(keys(&db.a, backwards("a", "z", 10)), ["c", "b", "a"]);
  assert_eq!(keys(&db.a, backwards("a", "c", 1)), ["b"]);
}

fn empty_and_inverted_ranges_are_empty(db: &Database) {
  put(&db.a, [set("a", ""), set("b", "")]);
  for range in [
    range("a", "a", 10),
    range("b", "a", 10),
    backwards("b", "a", 10),
    range("c", "d", 10),
  ] {
    assert!(keys(&db.a, range).is_empty());
  }
}

fn keys_are_in_the_order_of_their_bytes(db: &Database) {
  let sorted: [&[u8]; 6] = [b"\0", b"\0\xff", b"a", b"a\0", b"b", b"\xff\xff"];
  for key in [5, 0, 3, 1, 4, 2].map(|i| sorted[i]) {
    let mut mutation = set("", "");
    mutation.key = key.to_vec();
    put(&db.a, [mutation]);
  }
  for reverse in [false, true] {
    let range = ReadRange {
      start: vec![],
      end: vec![255; 3],
      limit: 10.try_into().unwrap(),
      reverse,
    };
    let ranges = db
      .a
      .snapshot_read(vec![range], ReadOptions::default())
      .wait_blocking()
      .unwrap();
    let mut read: Vec<&[u8]> = ranges[0].iter().map(|entry| entry.key).collect();
    if reverse {
      read.reverse();
    }
    assert_eq!(read, sorted);
  }
}

fn point_range_holds_one_key(db: &Database) {
  put(&db.a, [set("a", "1"), set("a\0", "2"), set("aa", "3")]);
  assert_eq!(text(&db.a, "a").as_deref(), Some("1"));
  assert_eq!(text(&db.a, "a\0").as_deref(), Some("2"));
}

fn ranges_are_answered_in_order(db: &Database) {
  put(&db.a, [set("a", ""), set("b", ""), set("c", "")]);
  let points = ["c", "none", "a"].map(|key| ReadRange::point(key.into()));
  let found = read_many(&db.a, points.into());
  let keys: Vec<Option<&str>> = found
    .iter()
    .map(|range| range.first().map(|(key, _)| key.as_str()))
    .collect();
  assert_eq!(keys, [Some("c"), None, Some("a")]);
}

fn ranges_may_overlap(db: &Database) {
  put(&db.a, [set("a", ""), set("b", "")]);
  let found = read_many(&db.a, vec![range("a", "c", 10), backwards("a", "c", 10)]);
  assert_eq!(found[0].len(), 2);
  assert_eq!(found[1].len(), 2);
}

fn long_ranges_are_whole(db: &Database) {
  let entries: Vec<_> = (0..1000)
    .map(|i| set(&format!("{i:04}"), &"x".repeat(500)))
    .collect();
  put(&db.a, entries);
  let expected: Vec<_> = (0..1000).map(|i| format!("{i:04}")).collect();
  assert_eq!(keys(&db.a, range("0", "9", 1000)), expected);
  assert_eq!(keys(&db.a, range("0", "9", 129)), expected[..129]);
  assert_eq!(keys(&db.a, range("0", "9", 128)), expected[..128]);
}

fn eventual_reads_are_answered(db: &Database) {
  put(&db.a, [set("a", "1")]);
  let options = ReadOptions::default().consistency(Consistency::Eventual);
  let is_there = || {
    let found = found(db.a.snapshot_read(vec![range("a", "b", 1)], options));
    found[0].first().is_some_and(|(key, _)| key == "a")
  };
  let deadline = std::time::Instant::now() + SOON;
  while !is_there() {
    assert!(std::time::Instant::now() < deadline, "it never sees it");
    std::thread::sleep(A_WHILE);
  }
}

fn no_ranges_are_no_answer(db: &Database) {
  assert!(read_many(&db.a, vec![]).is_empty());
}
