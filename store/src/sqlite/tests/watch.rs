//! Watchers: told of every change, whoever made it.

use super::*;
use crate::sqlite::database::Database;

/// Whether the watcher is told of a change within `patience`.
fn is_told(watcher: &crate::engine::Watcher, patience: Duration) -> bool {
  let runtime = tokio::runtime::Builder::new_current_thread()
    .enable_time()
    .build()
    .unwrap();
  runtime.block_on(async {
    let changed = tokio::time::timeout(patience, watcher.changed()).await;
    matches!(changed, Ok(Ok(Some(_))))
  })
}

/// Without the WAL index, commits of this process wake all its watchers too.
fn is_left_alone(watcher: &crate::engine::Watcher) -> bool {
  is_plain() || !is_told(watcher, NOT_AT_ALL)
}

const SOON: Duration = Duration::from_secs(10);
const NOT_AT_ALL: Duration = Duration::from_millis(150);

/// Nothing has happened for a while.
fn settle(watcher: &crate::engine::Watcher) {
  while is_told(watcher, NOT_AT_ALL) {}
}

#[test]
fn a_watcher_is_told_of_its_keys_and_of_no_others() {
  on_both(|store, _| {
    let watcher = store.watch(vec!["a".into(), "b".into()]).unwrap();
    settle(&watcher);
    commit(&*store, vec![set("c", "1")]).unwrap();
    assert!(is_left_alone(&watcher));
    for mutations in [
      vec![set("a", "1")],
      vec![set("x", "1"), set("b", "1")],
      vec![mutation("a", MutationKind::Delete)],
      vec![
        mutation("n", MutationKind::Sum(Value::U64(1))),
        set("b", "2"),
      ],
    ] {
      commit(&*store, mutations).unwrap();
      assert!(is_told(&watcher, SOON));
    }
    // Any number of changes is one, until somebody looks.
    for i in 0..10 {
      commit(&*store, vec![set("a", &i.to_string())]).unwrap();
    }
    assert!(is_told(&watcher, SOON));
    assert!(is_left_alone(&watcher));
    // A write that fails is no change.
    commit(&*store, vec![set("text", "x")]).unwrap();
    let sum = mutation("text", MutationKind::Sum(Value::U64(1)));
    commit(&*store, vec![set("a", "1"), sum]).unwrap_err();
    assert!(is_left_alone(&watcher));
  });
}

#[test]
fn versionstamped_key_is_watched_by_full_key() {
  on_both(|store, _| {
    let key = Versionstamp::from_version(1).appended_to(b"log");
    let watcher = store.watch(vec![key]).unwrap();
    settle(&watcher);
    let kind = MutationKind::SetWithVersionstamp(Value::U64(1));
    commit(&*store, vec![mutation("log", kind)]).unwrap();
    assert!(is_told(&watcher, SOON));
  });
}

#[test]
fn other_handles_and_other_processes_are_heard() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  let watcher = store.watch(vec!["a".into()]).unwrap();
  settle(&watcher);
  let other = open_file(&path, &options()).unwrap();
  commit(&*other, vec![set("a", "1")]).unwrap();
  assert!(is_told(&watcher, SOON));
  settle(&watcher);
  // SQLite does not tell a connection of another process from one of this.
  let process = Connection::open(&path).unwrap();
  let write = "BEGIN IMMEDIATE; UPDATE kv SET v = x'32', version = version + 1;
    UPDATE data_version SET version = version + 1; COMMIT";
  process.execute_batch(write).unwrap();
  let started = Instant::now();
  assert!(is_told(&watcher, SOON));
  // 50 ms between two glances, and the machine's own delays.
  assert!(started.elapsed() < Duration::from_secs(2));
  assert_eq!(text(&*store, "a").as_deref(), Some("2"));
  // Also when a commit of this process comes before the glance.
  process.execute_batch(write).unwrap();
  commit(&*store, vec![set("other", "1")]).unwrap();
  assert!(is_told(&watcher, SOON));
}

/// A file, somebody who watches the key "a", and another process.
fn watched_file() -> (TempDir, Arc<dyn Backend>, crate::engine::Watcher, Handle) {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  let watcher = store.watch(vec!["a".into()]).unwrap();
  // With a writer and readers of its own.
  let database = Database::open(path, &options(), Duration::ZERO).unwrap();
  let other = Handle::new(Arc::new(database), Durability::Full);
  settle(&watcher);
  (folder, store, watcher, other)
}

#[test]
fn busy_foreign_process_is_heard() {
  let (_folder, store, watcher, other) = watched_file();
  // The row with their number is not written for each of them.
  for i in 0..12 {
    settle(&watcher);
    commit(&other, vec![set("a", &i.to_string())]).unwrap();
    assert!(is_told(&watcher, SOON), "{i}");
    assert_eq!(text(&*store, "a"), Some(i.to_string()));
  }
}

#[test]
fn own_commits_are_no_news_from_elsewhere() {
  let (_folder, store, watcher, _other) = watched_file();
  let started = Instant::now();
  let mut i = 0;
  // Across glances, and across checkpoints, after which the log starts over.
  while started.elapsed() < Duration::from_millis(500) || i < 3000 {
    i += 1;
    let write = match i % 5 {
      0 => vec![],
      1 => vec![
        set("b", "1"),
        mutation("b", MutationKind::Sum(Value::U64(1))),
      ],
      _ => vec![set(&format!("key {i}"), "1")],
    };
    // Also those that fail, or change nothing.
    assert_eq!(commit(&*store, write).is_err(), i % 5 == 1);
  }
  assert!(is_left_alone(&watcher));
}

#[test]
fn expiry_is_a_change() {
  on_both(|store, clock| {
    let mut expiring = set("a", "1");
    expiring.expire_at = Some(1_000_000);
    commit(&*store, vec![expiring]).unwrap();
    let watcher = store.watch(vec!["a".into()]).unwrap();
    settle(&watcher);
    clock.0.store(1_000_000, Ordering::SeqCst);
    // Wakes the maintenance thread, whose sleep is measured in real time.
    drop(store.watch(Vec::new()).unwrap());
    assert!(is_told(&watcher, SOON));
    assert!(get(&*store, "a").is_none());
  });
}

#[test]
fn closing_ends_a_watcher() {
  on_both(|store, _| {
    let watcher = store.watch(vec!["a".into()]).unwrap();
    settle(&watcher);
    watcher.close();
    assert!(!is_told(&watcher, SOON));
    assert!(!is_told(&watcher, SOON));
    let left = store.watch(vec!["a".into()]).unwrap();
    // Its registration goes after the database.
    commit(&*store, vec![set("a", "1")]).unwrap();
    assert!(is_told(&left, SOON));
  });
  let store = open_memory(&options()).unwrap();
  let watcher = store.watch(vec!["a".into()]).unwrap();
  drop(store);
  assert!(!is_told(&watcher, SOON));
}
