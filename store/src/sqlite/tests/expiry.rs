//! Expired rows are removed from the file.

use super::*;

fn rows(path: &Path) -> i64 {
  Connection::open(path)
    .unwrap()
    .query_row("SELECT count(*) FROM kv", [], |row| row.get(0))
    .unwrap()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
  let deadline = Instant::now() + Duration::from_secs(60);
  while !holds() {
    assert!(Instant::now() < deadline, "{what}");
    thread::sleep(Duration::from_millis(2));
  }
}

fn expiring(key: &str, expire_at: u64) -> Mutation {
  Mutation {
    expire_at: Some(expire_at),
    ..set(key, "x")
  }
}

#[test]
fn rows_that_have_expired_are_removed() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let clock = Arc::new(TestClock::default());
  let options = SqliteOptions {
    clock: clock.clone(),
    ..options()
  };
  let store = open_file(&path, &options).unwrap();
  let mutations = vec![
    expiring("a", 1_000),
    expiring("b", 2_000),
    expiring("c", 100_000),
    set("d", "stays"),
  ];
  commit(&*store, mutations).unwrap();
  clock.0.store(2_000, Ordering::SeqCst);
  drop(store.watch(Vec::new()).unwrap());
  eventually("two are gone", || rows(&path) == 2);
  // Another process opens the file, finds what has expired meanwhile, and removes it.
  drop(store);
  clock.0.store(100_000, Ordering::SeqCst);
  let store = open_file(&path, &options).unwrap();
  eventually("the third is gone", || rows(&path) == 1);
  assert_eq!(text(&*store, "d").as_deref(), Some("stays"));
}

#[test]
fn reset_value_outlives_old_expiry() {
  on_both(|store, clock| {
    commit(&*store, vec![expiring("a", 1_000)]).unwrap();
    commit(&*store, vec![set("a", "new")]).unwrap();
    clock.0.store(5_000, Ordering::SeqCst);
    commit(&*store, vec![expiring("b", 5_000)]).unwrap();
    drop(store.watch(Vec::new()).unwrap());
    thread::sleep(Duration::from_millis(50));
    assert_eq!(text(&*store, "a").as_deref(), Some("new"));
  });
}

#[test]
fn many_rows_that_expire_at_once_hold_no_writer_up() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let clock = Arc::new(TestClock::default());
  let options = SqliteOptions {
    clock: clock.clone(),
    durability: Durability::Relaxed,
    ..options()
  };
  let store = open_file(&path, &options).unwrap();
  const ROWS: i64 = 20_000;
  for start in (0..ROWS).step_by(1_000) {
    let mutations = (start..start + 1_000)
      .map(|i| expiring(&i.to_string(), 1_000))
      .collect();
    commit(&*store, mutations).unwrap();
  }
  clock.0.store(1_000, Ordering::SeqCst);
  drop(store.watch(Vec::new()).unwrap());
  // The rows are gone for readers at once, and from the file in a hundred small transactions. Commits
  // come between: each waits for one of those at the most.
  let mut waits = Vec::new();
  while rows(&path) > 0 {
    let started = Instant::now();
    commit(&*store, vec![mutation("n", MutationKind::Delete)]).unwrap();
    waits.push(started.elapsed());
    assert!(waits.len() < 100_000, "the rows stay");
  }
  waits.sort_unstable();
  assert!(waits.len() > 10, "{waits:?}");
  let median = waits[waits.len() / 2];
  assert!(median < Duration::from_millis(50), "{median:?}");
}
