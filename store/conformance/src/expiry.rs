use kv_store::Value;
use kv_store::engine::{AtomicWrite, CommitOutcome, MutationKind};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  expired_value_is_not_read,
  expired_entries_don_t_count_in_a_range,
  expired_key_counts_as_missing_in_a_check,
  sum_starts_over_after_expiry,
  set_without_expiry_never_expires,
  set_with_expiry_replaces_it,
  expiry_in_the_past_is_never_seen,
  expiry_beyond_all_calendars_is_never,
];

fn expired_value_is_not_read(db: &Database) {
  put(&db.a, [set_until("a", "1", db.now_ms() + 1000)]);
  assert_eq!(text(&db.a, "a").as_deref(), Some("1"));
  db.advance(1100);
  assert_eq!(get(&db.a, "a"), None);
  assert_eq!(get(&db.b, "a"), None);
}

fn expired_entries_don_t_count_in_a_range(db: &Database) {
  let expire_at = db.now_ms() + 1000;
  put(
    &db.a,
    [
      set_until("a", "", expire_at),
      set("b", ""),
      set_until("c", "", expire_at),
      set("d", ""),
    ],
  );
  db.advance(1100);
  assert_eq!(keys(&db.a, range("a", "z", 2)), ["b", "d"]);
  assert_eq!(keys(&db.a, backwards("a", "z", 1)), ["d"]);
}

fn expired_key_counts_as_missing_in_a_check(db: &Database) {
  let versionstamp = put(&db.a, [set_until("a", "", db.now_ms() + 1000)]);
  db.advance(1100);
  let checked = |versionstamp| AtomicWrite {
    checks: vec![check("a", versionstamp)],
    ..AtomicWrite::default()
  };
  let outcome = commit(&db.a, checked(Some(versionstamp)));
  assert!(matches!(outcome, CommitOutcome::CheckFailed(_)));
  let outcome = commit(&db.a, checked(None));
  assert!(matches!(outcome, CommitOutcome::Committed(_)));
}

fn sum_starts_over_after_expiry(db: &Database) {
  let mut set = mutation("n", MutationKind::Set(Value::U64(40)));
  set.expire_at = Some(db.now_ms() + 1000);
  put(&db.a, [set]);
  db.advance(1100);
  put(&db.a, [mutation("n", MutationKind::Sum(Value::U64(2)))]);
  assert_eq!(value(&db.a, "n"), Some(Value::U64(2)));
}

fn set_without_expiry_never_expires(db: &Database) {
  put(&db.a, [set_until("a", "1", db.now_ms() + 1000)]);
  put(&db.a, [set("a", "2")]);
  db.advance(1100);
  assert_eq!(text(&db.a, "a").as_deref(), Some("2"));
}

fn set_with_expiry_replaces_it(db: &Database) {
  let now_ms = db.now_ms();
  put(&db.a, [set_until("a", "1", now_ms + 500)]);
  put(&db.a, [set_until("a", "2", now_ms + 60_000)]);
  db.advance(600);
  assert_eq!(text(&db.a, "a").as_deref(), Some("2"));
}

fn expiry_in_the_past_is_never_seen(db: &Database) {
  put(&db.a, [set_until("a", "", db.now_ms() - 1)]);
  assert_eq!(get(&db.a, "a"), None);
  put(&db.a, [set_until("b", "", 0)]);
  assert_eq!(get(&db.a, "b"), None);
}

fn expiry_beyond_all_calendars_is_never(db: &Database) {
  put(&db.a, [set_until("a", "", u64::MAX)]);
  assert!(get(&db.a, "a").is_some());
}
