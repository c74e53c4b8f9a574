use kv_store::engine::{ReadOptions, ReadRange};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  closed_handle_refuses_calls,
  closing_waits_for_what_is_outstanding,
  closing_twice_is_no_error,
  other_handles_stay_open,
  closing_ends_waits,
  closing_waits_for_reads,
];

fn close(store: &std::sync::Arc<dyn kv_store::engine::Backend>) {
  within(SOON, store.close().wait())
    .expect("closing does not end")
    .unwrap();
}

fn closed_handle_refuses_calls(db: &Database) {
  put(&db.a, [set("a", "")]);
  close(&db.a);
  let point = ReadRange::point(b"a".to_vec());
  let read = db.a.snapshot_read(vec![point], ReadOptions::default());
  assert!(read.wait_blocking().unwrap_err().is_closed());
  if let Some(found) = db.a.get_at_once(b"a", ReadOptions::default()) {
    assert!(found.unwrap_err().is_closed());
  }
  let write = db.a.atomic_write(writes([set("a", "")]));
  assert!(write.wait_blocking().unwrap_err().is_closed());
}

fn closing_waits_for_what_is_outstanding(db: &Database) {
  let answers: Vec<_> = (0..20)
    .map(|i| db.a.atomic_write(writes([set(&format!("{i:02}"), "")])))
    .collect();
  close(&db.a);
  if db.has_two_handles() {
    assert_eq!(keys(&db.b, range("0", "9", 100)).len(), 20);
  }
  for answer in answers {
    answer.wait_blocking().unwrap();
  }
}

fn closing_twice_is_no_error(db: &Database) {
  close(&db.a);
  close(&db.a);
}

fn other_handles_stay_open(db: &Database) {
  if !db.has_two_handles() {
    return;
  }
  put(&db.a, [set("a", "1")]);
  close(&db.a);
  assert_eq!(text(&db.b, "a").as_deref(), Some("1"));
  put(&db.b, [set("a", "2")]);
}

fn closing_ends_waits(db: &Database) {
  if !db.has("watch::") || !db.has("queue::") {
    return;
  }
  let watcher = db.a.watch(vec!["a".into()]).unwrap();
  settle(&watcher);
  let listener = db.a.listen().unwrap();
  let waiting = listener.receive(1);
  close(&db.a);
  assert_eq!(change(&watcher, SOON), Some(None));
  for answer in [waiting, listener.receive(1)] {
    let error = within(SOON, answer.wait()).unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
  }
}

fn closing_waits_for_reads(db: &Database) {
  let entries: Vec<_> = (0..1000)
    .map(|i| set(&format!("{i:04}"), &"x".repeat(700)))
    .collect();
  put(&db.a, entries);
  let read = db
    .a
    .snapshot_read(vec![range("0", "9", 1000)], ReadOptions::default());
  close(&db.a);
  assert_eq!(found(read).remove(0).len(), 1000);
}
