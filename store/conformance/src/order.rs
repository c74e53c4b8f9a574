//! Program order of the calls on one handle.

use kv_store::Value;
use kv_store::engine::{CommitOutcome, MutationKind, ReadOptions, ReadRange};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  read_sees_an_outstanding_write,
  read_sees_no_later_write,
  long_read_sees_no_later_write,
  outstanding_writes_happen_in_order,
  dropped_answer_is_done,
];

fn read_sees_an_outstanding_write(db: &Database) {
  for i in 0..20 {
    let write = db.a.atomic_write(writes([set("a", &i.to_string())]));
    assert_eq!(text(&db.a, "a"), Some(i.to_string()));
    write.wait_blocking().unwrap();
  }
}

fn read_sees_no_later_write(db: &Database) {
  for i in 0..20 {
    let before = db.a.atomic_write(writes([set("a", &i.to_string())]));
    let point = ReadRange::point(b"a".to_vec());
    let read = db.a.snapshot_read(vec![point], ReadOptions::default());
    let after = db.a.atomic_write(writes([set("a", "later")]));
    assert_eq!(found(read)[0][0].1.value, bytes(&i.to_string()));
    before.wait_blocking().unwrap();
    after.wait_blocking().unwrap();
  }
}

fn long_read_sees_no_later_write(db: &Database) {
  let entries: Vec<_> = (0..500).map(|i| set(&format!("{i:03}"), "1")).collect();
  put(&db.a, entries);
  let read = db
    .a
    .snapshot_read(vec![range("0", "9", 1000)], ReadOptions::default());
  let write = db.a.atomic_write(writes([set("499", "2"), delete("000")]));
  let entries = found(read).remove(0);
  assert_eq!(entries.len(), 500);
  assert!(entries.iter().all(|(_, held)| held.value == bytes("1")));
  write.wait_blocking().unwrap();
}

fn outstanding_writes_happen_in_order(db: &Database) {
  let answers: Vec<_> = (0..50)
    .map(|i| db.a.atomic_write(writes([set("a", &i.to_string())])))
    .collect();
  assert_eq!(text(&db.a, "a").as_deref(), Some("49"));
  let stamps: Vec<_> = answers
    .into_iter()
    .map(|answer| match answer.wait_blocking().unwrap() {
      CommitOutcome::Committed(versionstamp) => versionstamp,
      CommitOutcome::CheckFailed(_) => panic!("there is no check"),
    })
    .collect();
  assert!(stamps.is_sorted());
}

fn dropped_answer_is_done(db: &Database) {
  for _ in 0..20 {
    let sum = mutation("n", MutationKind::Sum(Value::U64(1)));
    drop(db.a.atomic_write(writes([sum])));
  }
  assert_eq!(value(&db.a, "n"), Some(Value::U64(20)));
}
