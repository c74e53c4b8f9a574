use kv_store::engine::Change;

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  own_commit_is_a_change,
  commit_of_another_handle_is_a_change,
  deletion_is_a_change,
  expiry_is_a_change,
  given_up_message_is_a_change,
  last_state_is_never_missed,
  every_watcher_is_told,
  versionstamped_key_is_watched_by_its_whole_name,
  closed_watcher_ends,
  watching_no_keys_is_allowed,
];

fn own_commit_is_a_change(db: &Database) {
  let watcher = db.a.watch(vec!["a".into(), "b".into()]).unwrap();
  settle(&watcher);
  put(&db.a, [set("other", ""), set("b", "1")]);
  told(&watcher, || text(&db.a, "b").as_deref() == Some("1"));
}

fn commit_of_another_handle_is_a_change(db: &Database) {
  let watcher = db.a.watch(vec!["a".into()]).unwrap();
  for i in 0..5 {
    settle(&watcher);
    put(&db.b, [set("a", &i.to_string())]);
    told(&watcher, || text(&db.a, "a") == Some(i.to_string()));
  }
}

fn deletion_is_a_change(db: &Database) {
  put(&db.a, [set("a", "")]);
  let watcher = db.a.watch(vec!["a".into()]).unwrap();
  settle(&watcher);
  put(&db.a, [delete("a")]);
  told(&watcher, || get(&db.a, "a").is_none());
}

fn expiry_is_a_change(db: &Database) {
  put(&db.a, [set_until("a", "", db.now_ms() + 1000)]);
  let watcher = db.a.watch(vec!["a".into()]).unwrap();
  settle(&watcher);
  db.advance(1100);
  told(&watcher, || get(&db.a, "a").is_none());
}

fn given_up_message_is_a_change(db: &Database) {
  if !db.a.capabilities().queue {
    return;
  }
  let watcher = db.a.watch(vec!["lost".into()]).unwrap();
  settle(&watcher);
  let mut enqueued = message("m", db.now_ms());
  enqueued.keys_if_undelivered = vec![b"lost".to_vec()];
  enqueue(&db.a, [enqueued]);
  let listener = db.a.listen().unwrap();
  let received = receive_some(&listener, 1).remove(0);
  listener.nack(received.id).wait_blocking().unwrap();
  told(&watcher, || get(&db.b, "lost").is_some());
}

fn last_state_is_never_missed(db: &Database) {
  let watcher = db.a.watch(vec!["a".into()]).unwrap();
  for i in 0..100 {
    put(&db.b, [set("a", &i.to_string())]);
  }
  let is_last = |change: &Change| match change {
    Change::Values(values) => values[0]
      .as_ref()
      .is_some_and(|held| held.value == bytes("99")),
    _ => text(&db.a, "a").as_deref() == Some("99"),
  };
  loop {
    let change = change(&watcher, SOON).expect("the last change is not told");
    if is_last(&change.expect("the watcher is closed")) {
      break;
    }
  }
}

fn every_watcher_is_told(db: &Database) {
  let watchers: Vec<_> = (0..5)
    .map(|i| {
      let store = if i % 2 == 0 { &db.a } else { &db.b };
      store.watch(vec!["a".into()]).unwrap()
    })
    .collect();
  watchers.iter().for_each(settle);
  put(&db.a, [set("a", "1")]);
  for watcher in &watchers {
    told(watcher, || get(&db.b, "a").is_some());
  }
}

fn versionstamped_key_is_watched_by_its_whole_name(db: &Database) {
  use kv_store::Versionstamp;
  use kv_store::engine::MutationKind;

  // The next versionstamps, among which that of the commit is: engines may leave some out.
  let last = put(&db.a, [set("a", "")]);
  let version = u64::from_be_bytes(last.0[..8].try_into().unwrap());
  let most = db.a.capabilities().limits.watch_keys.min(200) as u64;
  let keys = (1..=most).map(|next| Versionstamp::from_version(version + next).appended_to(b"log"));
  let watcher = db.a.watch(keys.collect()).unwrap();
  settle(&watcher);
  let kind = MutationKind::SetWithVersionstamp(bytes("1"));
  let versionstamp = put(&db.a, [mutation("log", kind)]);
  let key = String::from_utf8(versionstamp.appended_to(b"log")).unwrap();
  told(&watcher, || get(&db.a, &key).is_some());
}

fn closed_watcher_ends(db: &Database) {
  let watcher = db.a.watch(vec!["a".into()]).unwrap();
  settle(&watcher);
  watcher.close();
  put(&db.a, [set("a", "")]);
  for _ in 0..2 {
    assert_eq!(change(&watcher, SOON), Some(None));
  }
}

fn watching_no_keys_is_allowed(db: &Database) {
  let watcher = db.a.watch(vec![]).unwrap();
  watcher.close();
  assert_eq!(change(&watcher, SOON), Some(None));
}
