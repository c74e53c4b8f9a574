use kv_store::engine::{AtomicWrite, CommitOutcome, ErrorKind, MutationKind};
use kv_store::{Value, Versionstamp};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  versionstamps_grow,
  one_commit_has_one_versionstamp,
  a_write_renews_the_versionstamp,
  deleted_key_is_not_there,
  deleting_a_missing_key_commits,
  empty_write_commits,
  mutations_happen_in_order,
  check_of_a_missing_key,
  check_of_a_versionstamp,
  failed_check_changes_nothing,
  failed_checks_are_told_by_index,
  one_of_several_checks_fails,
  checks_alone_change_nothing,
  deleted_key_counts_as_missing,
  failed_mutation_changes_nothing,
  failed_write_leaves_others_alone,
  hundred_checks,
  thousand_mutations,
  versionstamped_key,
  versionstamped_keys_are_in_order,
  handles_see_one_another,
];

fn versionstamps_grow(db: &Database) {
  let mut last = Versionstamp([0; 10]);
  for i in 0..50 {
    let store = if i % 2 == 0 { &db.a } else { &db.b };
    let versionstamp = put(store, [set("a", &i.to_string())]);
    assert!(versionstamp > last);
    last = versionstamp;
  }
}

fn one_commit_has_one_versionstamp(db: &Database) {
  let versionstamp = put(&db.a, [set("a", ""), set("b", "")]);
  for key in ["a", "b"] {
    assert_eq!(get(&db.a, key).unwrap().versionstamp, versionstamp);
  }
}

fn a_write_renews_the_versionstamp(db: &Database) {
  let first = put(&db.a, [set("a", "same")]);
  let second = put(&db.a, [set("a", "same")]);
  assert!(second > first);
  assert_eq!(get(&db.a, "a").unwrap().versionstamp, second);
}

fn deleted_key_is_not_there(db: &Database) {
  put(&db.a, [set("a", "")]);
  put(&db.a, [delete("a")]);
  assert_eq!(get(&db.a, "a"), None);
}

fn deleting_a_missing_key_commits(db: &Database) {
  put(&db.a, [delete("a")]);
}

fn empty_write_commits(db: &Database) {
  let outcome = commit(&db.a, AtomicWrite::default());
  assert!(matches!(outcome, CommitOutcome::Committed(_)));
}

fn mutations_happen_in_order(db: &Database) {
  let add = |number| mutation("n", MutationKind::Sum(Value::U64(number)));
  put(
    &db.a,
    [
      set("a", "1"),
      delete("a"),
      set("b", "1"),
      set("b", "2"),
      add(1),
      add(2),
      delete("c"),
      set("c", "1"),
    ],
  );
  assert_eq!(text(&db.a, "a"), None);
  assert_eq!(text(&db.a, "b").as_deref(), Some("2"));
  assert_eq!(text(&db.a, "c").as_deref(), Some("1"));
  assert_eq!(value(&db.a, "n"), Some(Value::U64(3)));
}

fn with_check(key: &str, versionstamp: Option<Versionstamp>, mark: &str) -> AtomicWrite {
  AtomicWrite {
    checks: vec![check(key, versionstamp)],
    ..writes([set("mark", mark)])
  }
}

fn check_of_a_missing_key(db: &Database) {
  let outcome = commit(&db.a, with_check("a", None, "1"));
  assert!(matches!(outcome, CommitOutcome::Committed(_)));
  put(&db.a, [set("a", "")]);
  let outcome = commit(&db.a, with_check("a", None, "2"));
  assert!(matches!(outcome, CommitOutcome::CheckFailed(_)));
}

fn check_of_a_versionstamp(db: &Database) {
  let first = put(&db.a, [set("a", "1")]);
  let outcome = commit(&db.b, with_check("a", Some(first), "1"));
  assert!(matches!(outcome, CommitOutcome::Committed(_)));
  put(&db.a, [set("a", "2")]);
  let outcome = commit(&db.a, with_check("a", Some(first), "2"));
  assert!(matches!(outcome, CommitOutcome::CheckFailed(_)));
  let outcome = commit(&db.a, with_check("none", Some(first), "2"));
  assert!(matches!(outcome, CommitOutcome::CheckFailed(_)));
}

fn failed_check_changes_nothing(db: &Database) {
  let versionstamp = put(&db.a, [set("a", "1")]);
  let write = AtomicWrite {
    checks: vec![check("a", None)],
    ..writes([set("a", "2"), set("b", "2"), delete("a")])
  };
  assert!(matches!(
    commit(&db.a, write),
    CommitOutcome::CheckFailed(_)
  ));
  assert_eq!(get(&db.a, "a").unwrap().versionstamp, versionstamp);
  assert_eq!(get(&db.a, "b"), None);
}

fn failed_checks_are_told_by_index(db: &Database) {
  let versionstamp = put(&db.a, [set("a", "")]);
  let write = AtomicWrite {
    checks: vec![
      check("a", None),
      check("a", Some(versionstamp)),
      check("b", Some(versionstamp)),
    ],
    ..AtomicWrite::default()
  };
  match commit(&db.a, write) {
    CommitOutcome::CheckFailed(failed) => assert!(failed.is_empty() || failed == [0, 2]),
    CommitOutcome::Committed(_) => panic!("two checks don't hold"),
  }
}

fn one_of_several_checks_fails(db: &Database) {
  let versionstamp = put(&db.a, [set("a", ""), set("b", "")]);
  let write = AtomicWrite {
    checks: vec![
      check("a", Some(versionstamp)),
      check("c", None),
      check("b", None),
    ],
    ..writes([set("mark", "")])
  };
  assert!(matches!(
    commit(&db.a, write),
    CommitOutcome::CheckFailed(_)
  ));
  assert_eq!(get(&db.a, "mark"), None);
}

fn checks_alone_change_nothing(db: &Database) {
  let versionstamp = put(&db.a, [set("a", "")]);
  let write = AtomicWrite {
    checks: vec![check("a", Some(versionstamp))],
    ..AtomicWrite::default()
  };
  assert!(matches!(commit(&db.a, write), CommitOutcome::Committed(_)));
  assert_eq!(get(&db.a, "a").unwrap().versionstamp, versionstamp);
}

fn deleted_key_counts_as_missing(db: &Database) {
  let versionstamp = put(&db.a, [set("a", "")]);
  put(&db.a, [delete("a")]);
  let outcome = commit(&db.a, with_check("a", Some(versionstamp), "1"));
  assert!(matches!(outcome, CommitOutcome::CheckFailed(_)));
  let outcome = commit(&db.a, with_check("a", None, "2"));
  assert!(matches!(outcome, CommitOutcome::Committed(_)));
}

fn failed_mutation_changes_nothing(db: &Database) {
  let versionstamp = put(&db.a, [set("text", "x"), set("old", "")]);
  let sum = mutation("text", MutationKind::Sum(Value::U64(1)));
  let error = fails(
    &db.a,
    [
      set("a", "1"),
      delete("old"),
      delete("text"),
      set("text", "x"),
      sum,
    ],
  );
  assert_eq!(error.kind(), ErrorKind::TypeMismatch, "{error}");
  assert_eq!(get(&db.a, "a"), None);
  for key in ["text", "old"] {
    assert_eq!(get(&db.a, key).unwrap().versionstamp, versionstamp);
  }
}

fn failed_write_leaves_others_alone(db: &Database) {
  put(&db.a, [set("text", "x")]);
  let sum = || mutation("text", MutationKind::Sum(Value::U64(1)));
  let answers: Vec<_> = (0..20)
    .map(|i| {
      let key = format!("key {i}");
      let mut mutations = vec![set(&key, "1")];
      if i % 3 == 0 {
        mutations.push(sum());
      }
      db.a.atomic_write(writes(mutations))
    })
    .collect();
  for (i, answer) in answers.into_iter().enumerate() {
    let is_expected = i % 3 != 0;
    assert_eq!(answer.wait_blocking().is_ok(), is_expected);
    assert_eq!(get(&db.a, &format!("key {i}")).is_some(), is_expected);
  }
}

fn hundred_checks(db: &Database) {
  let entries: Vec<_> = (0..100).map(|i| set(&format!("{i}"), "")).collect();
  let versionstamp = put(&db.a, entries);
  let mut write = writes([set("mark", "1")]);
  write.checks = (0..100)
    .map(|i| check(&format!("{i}"), Some(versionstamp)))
    .collect();
  let outcome = commit(&db.a, write.clone());
  assert!(matches!(outcome, CommitOutcome::Committed(_)));
  put(&db.a, [set("99", "")]);
  assert!(matches!(
    commit(&db.a, write),
    CommitOutcome::CheckFailed(_)
  ));
}

fn thousand_mutations(db: &Database) {
  let entries: Vec<_> = (0..1000).map(|i| set(&format!("{i:04}"), "")).collect();
  let versionstamp = put(&db.a, entries);
  let found = read_many(&db.a, vec![range("0", "9", 1000)]).remove(0);
  assert_eq!(found.len(), 1000);
  assert!(
    found
      .iter()
      .all(|(_, held)| held.versionstamp == versionstamp)
  );
}

fn versionstamped_key(db: &Database) {
  let kind = MutationKind::SetWithVersionstamp(bytes("1"));
  let versionstamp = put(&db.a, [mutation("log", kind), set("a", "1")]);
  let key = String::from_utf8(versionstamp.appended_to(b"log")).unwrap();
  let held = get(&db.a, &key).unwrap();
  assert_eq!(held.versionstamp, versionstamp);
  assert_eq!(held.value, bytes("1"));
  assert_eq!(get(&db.a, "a").unwrap().versionstamp, versionstamp);
}

fn versionstamped_keys_are_in_order(db: &Database) {
  for i in 0..20 {
    let kind = MutationKind::SetWithVersionstamp(bytes(&i.to_string()));
    put(&db.a, [mutation("log", kind)]);
  }
  let found = read_many(&db.a, vec![range("log", "loh", 100)]).remove(0);
  let values: Vec<_> = found.into_iter().map(|(_, held)| held.value).collect();
  let expected: Vec<_> = (0..20).map(|i| bytes(&i.to_string())).collect();
  assert_eq!(values, expected);
}

fn handles_see_one_another(db: &Database) {
  for i in 0..20 {
    let versionstamp = put(&db.a, [set("a", &i.to_string())]);
    assert_eq!(get(&db.b, "a").unwrap().versionstamp, versionstamp);
    put(&db.b, [delete("a")]);
    assert_eq!(get(&db.a, "a"), None);
  }
}
