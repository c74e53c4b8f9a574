//! A write whose answer was lost is asked for again, by its id.

use kv_store::Value;
use kv_store::engine::{AtomicWrite, CommitOutcome, MutationKind, WRITE_ID_TTL, WriteId};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  repeated_write_is_done_once,
  repeated_write_is_answered_as_the_first,
  write_with_a_failed_check_is_tried_anew,
  failed_write_is_tried_anew,
  ids_are_of_the_database,
  repetition_at_once_is_done_once,
  id_is_forgotten,
];

fn sum(id: u8) -> AtomicWrite {
  AtomicWrite {
    id: Some(WriteId([id; 16])),
    ..writes([mutation("n", MutationKind::Sum(Value::U64(1)))])
  }
}

fn repeated_write_is_done_once(db: &Database) {
  for id in [1, 1, 2, 1, 2] {
    assert!(matches!(
      commit(&db.a, sum(id)),
      CommitOutcome::Committed(_)
    ));
  }
  assert_eq!(value(&db.a, "n"), Some(Value::U64(2)));
}

fn repeated_write_is_answered_as_the_first(db: &Database) {
  let write = AtomicWrite {
    id: Some(WriteId([7; 16])),
    checks: vec![check("a", None)],
    mutations: vec![set("a", "1")],
    enqueues: vec![message("m", db.now_ms())],
  };
  let first = commit(&db.a, write.clone());
  assert!(matches!(first, CommitOutcome::Committed(_)));
  put(&db.a, [set("b", "")]);
  // Its check does not hold any more.
  assert_eq!(commit(&db.a, write), first);
  let listener = db.a.listen().unwrap();
  receive_some(&listener, 1);
  assert!(receive(&listener, 1, A_WHILE).is_none());
}

fn write_with_a_failed_check_is_tried_anew(db: &Database) {
  put(&db.a, [set("a", "")]);
  let write = AtomicWrite {
    checks: vec![check("a", None)],
    ..sum(3)
  };
  let outcome = commit(&db.a, write.clone());
  assert!(matches!(outcome, CommitOutcome::CheckFailed(_)));
  put(&db.a, [delete("a")]);
  let outcome = commit(&db.a, write);
  assert!(matches!(outcome, CommitOutcome::Committed(_)));
}

fn failed_write_is_tried_anew(db: &Database) {
  put(&db.a, [set("n", "text")]);
  let failed = db.a.atomic_write(sum(4)).wait_blocking();
  assert!(failed.is_err());
  put(&db.a, [delete("n")]);
  assert!(matches!(commit(&db.a, sum(4)), CommitOutcome::Committed(_)));
}

fn ids_are_of_the_database(db: &Database) {
  let first = commit(&db.a, sum(5));
  assert_eq!(commit(&db.b, sum(5)), first);
  assert_eq!(value(&db.a, "n"), Some(Value::U64(1)));
}

fn repetition_at_once_is_done_once(db: &Database) {
  let answers: Vec<_> = (0..20)
    .map(|i| if i % 2 == 0 { &db.a } else { &db.b })
    .map(|store| store.atomic_write(sum(6)))
    .collect();
  let mut outcomes: Vec<_> = answers
    .into_iter()
    .map(|answer| answer.wait_blocking().unwrap())
    .collect();
  outcomes.dedup();
  assert_eq!(outcomes.len(), 1, "{outcomes:?}");
  assert_eq!(value(&db.a, "n"), Some(Value::U64(1)));
}

fn id_is_forgotten(db: &Database) {
  if !db.has_manual_time() {
    return;
  }
  commit(&db.a, sum(8));
  db.advance(WRITE_ID_TTL.as_millis() as u64 - 1);
  commit(&db.a, sum(8));
  assert_eq!(value(&db.a, "n"), Some(Value::U64(1)));
  db.advance(2);
  commit(&db.a, sum(8));
  assert_eq!(value(&db.a, "n"), Some(Value::U64(2)));
}
