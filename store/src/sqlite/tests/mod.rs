//! The promises of the SQLite store, each held by a test.

mod commits;
mod expiry;
mod garbage;
mod hostile_files;
#[cfg(target_os = "linux")]
mod order;
mod queue;
mod snapshots;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

use super::error::WriteError;
use super::file::{connect, schema};
use super::transaction::version::VersionAllocator;
use super::transaction::{Outcome, Task};
use super::*;
use crate::engine::{
  AtomicWrite, Check, Clock, CommitOutcome, Durability, EntryRef, ErrorKind, Held, Mutation,
  MutationKind, ReadOptions, ReadRange, StoreError,
};
use crate::value::Value;
use crate::versionstamp::Versionstamp;

#[derive(Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
  fn now_ms(&self) -> u64 {
    self.0.load(Ordering::SeqCst)
  }
}

/// Whether the tests run without the WAL index and without preallocation.
fn is_plain() -> bool {
  std::env::var_os("KV_TEST_PLAIN").is_some()
}

fn options() -> SqliteOptions {
  SqliteOptions {
    busy_timeout: Duration::from_millis(300),
    wal_index: !is_plain(),
    wal_preallocation: !is_plain(),
    ..SqliteOptions::default()
  }
}

fn set(key: &str, value: &str) -> Mutation {
  mutation(key, MutationKind::Set(Value::Bytes(value.into())))
}

fn mutation(key: &str, kind: MutationKind) -> Mutation {
  Mutation {
    key: key.into(),
    kind,
    expire_at: None,
  }
}

fn write(mutations: Vec<Mutation>) -> AtomicWrite {
  AtomicWrite {
    mutations,
    ..AtomicWrite::default()
  }
}

fn commit(store: &dyn Backend, mutations: Vec<Mutation>) -> Result<CommitOutcome, StoreError> {
  store.atomic_write(write(mutations)).wait_blocking()
}

fn get(store: &dyn Backend, key: &str) -> Option<Held> {
  let ranges = store
    .snapshot_read(vec![ReadRange::point(key.into())], ReadOptions::default())
    .wait_blocking()
    .unwrap();
  ranges[0].first().map(EntryRef::to_held)
}

/// The same by the other way there is. Both databases have it, and nobody holds them up.
fn get_at_once(store: &dyn Backend, key: &str) -> Option<Held> {
  store
    .get_at_once(key.as_bytes(), ReadOptions::default())
    .unwrap()
    .unwrap()
}

fn text(store: &dyn Backend, key: &str) -> Option<String> {
  get(store, key).map(|entry| match entry.value {
    Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
    other => format!("{other:?}"),
  })
}

fn range(start: &str, end: &str, limit: u32, reverse: bool) -> ReadRange {
  ReadRange {
    start: start.into(),
    end: end.into(),
    limit: limit.try_into().unwrap(),
    reverse,
  }
}

/// A test on a file and on memory: both keep the same promises.
fn on_both(test: impl Fn(Arc<dyn Backend>, Arc<TestClock>)) {
  let clock = Arc::new(TestClock::default());
  let options = SqliteOptions {
    clock: clock.clone(),
    ..options()
  };
  test(open_memory(&options).unwrap(), clock.clone());
  clock.0.store(0, Ordering::SeqCst);
  let folder = TempDir::new().unwrap();
  test(
    open_file(&folder.path().join("kv"), &options).unwrap(),
    clock,
  );
}

#[test]
fn versionstamps_grow_and_are_shared_by_a_commit() {
  on_both(|store, _| {
    let first = commit(&*store, vec![set("a", "1"), set("b", "1")]).unwrap();
    let CommitOutcome::Committed(first) = first else {
      panic!("{first:?}")
    };
    assert_eq!(get(&*store, "a").unwrap().versionstamp, first);
    assert_eq!(get(&*store, "b").unwrap().versionstamp, first);
    let second = commit(&*store, vec![set("a", "2")]).unwrap();
    assert!(matches!(second, CommitOutcome::Committed(second) if second > first));
  });
}

#[test]
fn a_check_sees_the_last_commit() {
  on_both(|store, _| {
    let check = |versionstamp| {
      let write = AtomicWrite {
        checks: vec![Check {
          key: "a".into(),
          versionstamp,
        }],
        mutations: vec![set("b", "x")],
        ..AtomicWrite::default()
      };
      store.atomic_write(write).wait_blocking().unwrap()
    };
    assert_eq!(
      check(Some(Versionstamp::from_version(1))),
      CommitOutcome::CheckFailed(vec![0])
    );
    assert_eq!(text(&*store, "b"), None);
    assert!(matches!(check(None), CommitOutcome::Committed(_)));
    commit(&*store, vec![set("a", "1")]).unwrap();
    assert_eq!(check(None), CommitOutcome::CheckFailed(vec![0]));
    let stamp = get(&*store, "a").unwrap().versionstamp;
    assert!(matches!(check(Some(stamp)), CommitOutcome::Committed(_)));
  });
}

#[test]
fn a_write_that_fails_in_its_middle_leaves_nothing() {
  on_both(|store, _| {
    commit(&*store, vec![set("text", "no number")]).unwrap();
    let sum = mutation("text", MutationKind::Sum(Value::U64(1)));
    let error = commit(&*store, vec![set("a", "1"), sum, set("b", "1")]).unwrap_err();
    assert!(error.kind() == ErrorKind::TypeMismatch, "{error}");
    assert_eq!((text(&*store, "a"), text(&*store, "b")), (None, None));
    let before = get(&*store, "text").unwrap().versionstamp;
    let CommitOutcome::Committed(after) = commit(&*store, vec![set("c", "1")]).unwrap() else {
      panic!("no check, and it failed")
    };
    // Nor does it use up a version.
    assert_eq!(
      after,
      Versionstamp::from_version(u64::from(before.0[7]) + 1)
    );
  });
}

#[test]
fn in_a_group_one_write_fails_alone() {
  let mut connection = Connection::open_in_memory().unwrap();
  schema::migrate(&mut connection).unwrap();
  let sum = |key: &str| mutation(key, MutationKind::Sum(Value::U64(1)));
  let check = Check {
    key: "a".into(),
    versionstamp: None,
  };
  let group = [
    write(vec![set("a", "text")]),
    write(vec![set("b", "1"), sum("a")]),
    AtomicWrite {
      checks: vec![check],
      mutations: vec![set("c", "1")],
      ..AtomicWrite::default()
    },
    write(vec![sum("n"), set("d", "1")]),
  ]
  .map(Task::Write);
  let outcomes = commit_group(&mut connection, &group).unwrap();
  assert!(matches!(
    outcomes.as_slice(),
    [
      Ok(Outcome::Commit(CommitOutcome::Committed(first))),
      Err(WriteError::Refused(error)),
      Ok(Outcome::Commit(CommitOutcome::CheckFailed(_))),
      Ok(Outcome::Commit(CommitOutcome::Committed(last))),
    ] if error.kind() == ErrorKind::TypeMismatch && *first == Versionstamp::from_version(1) && *last == Versionstamp::from_version(2)
  ));
  let keys: Vec<String> = connection
    .prepare("SELECT CAST(k AS TEXT) FROM kv ORDER BY k")
    .unwrap()
    .query_map([], |row| row.get(0))
    .unwrap()
    .collect::<Result<_, _>>()
    .unwrap();
  assert_eq!(keys, ["a", "d", "n"]);
}

fn commit_group(
  connection: &mut Connection,
  group: &[Task],
) -> Result<transaction::GroupOutcome, WriteError> {
  let mut file = transaction::File {
    connection,
    versions: &mut VersionAllocator::default(),
    on_lock: &mut |_| Ok(0),
  };
  transaction::commit_group(&mut file, group)
}

#[test]
fn a_full_database_fails_the_write_and_works_again() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let mut connection = connect::writer(&path, &options(), Duration::ZERO)
    .unwrap()
    .connection;
  let pages: i64 = connection
    .pragma_query_value(None, "page_count", |row| row.get(0))
    .unwrap();
  let limit = |connection: &Connection, pages: i64| {
    connection
      .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
      .unwrap();
  };
  limit(&connection, pages + 2);
  let large = "x".repeat(60_000);
  let group = [
    write(vec![set("small", "1")]),
    write(vec![set("large", &large)]),
  ]
  .map(Task::Write);
  let result = commit_group(&mut connection, &group);
  // Whether SQLite rolls back the statement or the transaction: what is answered is stored.
  let small_is_stored = match &result {
    Ok(outcomes) => {
      assert!(outcomes[1].is_err());
      outcomes[0].is_ok()
    }
    Err(_) => false,
  };
  limit(&connection, 1_000_000);
  let stored: i64 = connection
    .query_row("SELECT count(*) FROM kv", [], |row| row.get(0))
    .unwrap();
  assert_eq!(stored, i64::from(small_is_stored));
  let again = commit_group(&mut connection, &group).unwrap();
  assert!(again.iter().all(Result::is_ok));
}

#[test]
fn many_threads_commit_and_nothing_is_lost() {
  let folder = TempDir::new().unwrap();
  let store = open_file(&folder.path().join("kv"), &options()).unwrap();
  thread::scope(|scope| {
    for thread in 0..8 {
      let store = &store;
      scope.spawn(move || {
        let answers: Vec<_> = (0..50)
          .map(|i| {
            let sum = mutation("n", MutationKind::Sum(Value::U64(1)));
            store.atomic_write(write(vec![sum, set(&format!("{thread}/{i}"), "x")]))
          })
          .collect();
        for answer in answers {
          assert!(matches!(
            answer.wait_blocking(),
            Ok(CommitOutcome::Committed(_))
          ));
        }
      });
    }
  });
  assert_eq!(get(&*store, "n").unwrap().value, Value::U64(400));
  let all = store
    .snapshot_read(vec![range("0", "9", 1000, false)], ReadOptions::default())
    .wait_blocking()
    .unwrap();
  assert_eq!(all[0].len(), 400);
}

#[test]
fn a_read_sees_a_commit_whole_or_not_at_all() {
  let folder = TempDir::new().unwrap();
  let store = open_file(&folder.path().join("kv"), &options()).unwrap();
  commit(&*store, vec![set("a", "0"), set("b", "0")]).unwrap();
  let done = AtomicU64::new(0);
  thread::scope(|scope| {
    scope.spawn(|| {
      for i in 0..200 {
        let i = i.to_string();
        commit(&*store, vec![set("a", &i), set("b", &i)]).unwrap();
      }
      done.store(1, Ordering::SeqCst);
    });
    scope.spawn(|| {
      while done.load(Ordering::SeqCst) == 0 {
        let ranges = vec![ReadRange::point("a".into()), ReadRange::point("b".into())];
        let read = store
          .snapshot_read(ranges, ReadOptions::default())
          .wait_blocking()
          .unwrap();
        let [a, b] = [0, 1].map(|range| read[range].first().unwrap().to_held());
        assert_eq!(a, b);
      }
    });
  });
}

#[test]
fn ranges_are_half_open_limited_and_go_both_ways() {
  on_both(|store, _| {
    commit(
      &*store,
      ["a", "b", "c", "d"].map(|key| set(key, key)).to_vec(),
    )
    .unwrap();
    let keys = |range| {
      let ranges = store
        .snapshot_read(vec![range], ReadOptions::default())
        .wait_blocking()
        .unwrap();
      ranges[0]
        .iter()
        .map(|entry| char::from(entry.key[0]))
        .collect::<String>()
    };
    assert_eq!(keys(range("a", "d", 10, false)), "abc");
    assert_eq!(keys(range("b", "z", 10, true)), "dcb");
    assert_eq!(keys(range("a", "z", 2, false)), "ab");
    assert_eq!(keys(range("a", "z", 2, true)), "dc");
    assert_eq!(keys(range("c", "c", 2, false)), "");
    // More than are read in the calling thread.
    assert_eq!(keys(range("a", "z", 100_000, false)), "abcd");
  });
}

#[test]
fn what_has_expired_is_gone_to_the_millisecond() {
  on_both(|store, clock| {
    let expiring = |key: &str, at| Mutation {
      expire_at: Some(at),
      ..set(key, "x")
    };
    clock.0.store(1000, Ordering::SeqCst);
    commit(
      &*store,
      vec![expiring("a", 2000), expiring("n", 2000), set("z", "x")],
    )
    .unwrap();
    clock.0.store(1999, Ordering::SeqCst);
    assert!(get(&*store, "a").is_some());
    assert_eq!(get_at_once(&*store, "a"), get(&*store, "a"));
    clock.0.store(2000, Ordering::SeqCst);
    assert_eq!(get(&*store, "a"), None);
    assert_eq!(get_at_once(&*store, "a"), None);
    let all = store
      .snapshot_read(vec![range("a", "zz", 100, false)], ReadOptions::default())
      .wait_blocking()
      .unwrap();
    assert_eq!(all[0].len(), 1);
    // A check finds it absent, and a sum starts anew.
    let write = AtomicWrite {
      checks: vec![Check {
        key: "a".into(),
        versionstamp: None,
      }],
      mutations: vec![mutation("n", MutationKind::Sum(Value::U64(7)))],
      ..AtomicWrite::default()
    };
    assert!(matches!(
      store.atomic_write(write).wait_blocking(),
      Ok(CommitOutcome::Committed(_))
    ));
    assert_eq!(get(&*store, "n").unwrap().value, Value::U64(7));
  });
}

#[test]
fn one_file_has_one_writer_however_its_path_is_written() {
  let folder = TempDir::new().unwrap();
  let first = database::open(&folder.path().join("kv"), &options()).unwrap();
  let second = database::open(&folder.path().join("./kv"), &options()).unwrap();
  assert!(Arc::ptr_eq(&first, &second));
  // Unless it is another file under the same name.
  std::fs::remove_file(folder.path().join("kv")).unwrap();
  let third = database::open(&folder.path().join("kv"), &options()).unwrap();
  assert!(!Arc::ptr_eq(&first, &third));
}

#[test]
fn close_commits_and_leaves_one_file() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  let answers: Vec<_> = (0..100)
    .map(|i| store.atomic_write(write(vec![set(&i.to_string(), "x")])))
    .collect();
  drop(store);
  for answer in answers {
    assert!(answer.wait_blocking().is_ok());
  }
  let files: Vec<_> = std::fs::read_dir(&folder)
    .unwrap()
    .map(|file| file.unwrap().file_name())
    .collect();
  assert_eq!(files, ["kv"]);
  let connection = Connection::open(&path).unwrap();
  let rows: i64 = connection
    .query_row("SELECT count(*) FROM kv", [], |row| row.get(0))
    .unwrap();
  assert_eq!(rows, 100);
}

#[test]
fn a_thousand_handles_leave_nothing_behind() {
  let folder = TempDir::new().unwrap();
  let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
  let files = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
  let path = folder.path().join("kv");
  open_file(&path, &options()).unwrap();
  let before = (threads(), files());
  for i in 0..1000 {
    let store = open_file(&path, &options()).unwrap();
    if i % 10 == 0 {
      commit(&*store, vec![set("a", "1")]).unwrap();
      get(&*store, "a").unwrap();
    }
  }
  // Other tests run at the same time, with threads and files of their own.
  assert!(threads() < before.0 + 50, "{} {before:?}", threads());
  assert!(files() < before.1 + 100, "{} {before:?}", files());
}

fn contents(path: &Path) -> Vec<u8> {
  std::fs::read(path).unwrap()
}

#[test]
fn newer_format_is_refused_untouched() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let connection = Connection::open(&path).unwrap();
  connection
    .execute_batch(
      "CREATE TABLE migration_state (k INTEGER NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
       INSERT INTO migration_state VALUES (0, 4);",
    )
    .unwrap();
  drop(connection);
  let before = contents(&path);
  let error = open_file(&path, &options()).err().unwrap();
  assert_eq!(error.kind(), ErrorKind::NewerFormat);
  assert!(
    error.to_string().contains("has format version 4"),
    "{error}"
  );
  assert_eq!(contents(&path), before);
}

#[test]
fn older_formats_are_brought_up_to_date() {
  let folder = TempDir::new().unwrap();
  for version in 1..=2 {
    let path = folder.path().join(version.to_string());
    let mut connection = Connection::open(&path).unwrap();
    schema::migrate_to(&mut connection, version).unwrap();
    connection
      .execute_batch(
        "INSERT INTO kv (k, v, v_encoding, version) VALUES (x'61', x'31', 3, 5);
         UPDATE data_version SET version = 5;",
      )
      .unwrap();
    drop(connection);
    let store = open_file(&path, &options()).unwrap();
    assert_eq!(text(&*store, "a").as_deref(), Some("1"));
    let outcome = commit(&*store, vec![set("b", "2")]).unwrap();
    assert_eq!(
      outcome,
      CommitOutcome::Committed(Versionstamp::from_version(6))
    );
  }
}

#[test]
fn what_is_no_database_is_refused_and_left_as_it_is() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let noise = "no database at all\n".repeat(500);
  std::fs::write(&path, &noise).unwrap();
  let error = open_file(&path, &options()).err().unwrap();
  assert!(error.kind() == ErrorKind::NotADatabase, "{error}");
  assert_eq!(std::fs::read_to_string(&path).unwrap(), noise);
}

#[test]
fn write_waits_for_lock_fails_then_works() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  commit(&*store, vec![set("a", "1")]).unwrap();
  // SQLite's locks don't tell a connection of another process from one of this.
  let other = Connection::open(&path).unwrap();
  other.execute_batch("BEGIN IMMEDIATE").unwrap();
  let started = Instant::now();
  let error = commit(&*store, vec![set("a", "2")]).unwrap_err();
  assert!(error.kind() == ErrorKind::Locked, "{error}");
  assert!(
    error.to_string().contains(path.to_str().unwrap()),
    "{error}"
  );
  assert!(
    started.elapsed() >= Duration::from_millis(250),
    "{:?}",
    started.elapsed()
  );
  assert_eq!(text(&*store, "a").as_deref(), Some("1"));
  other.execute_batch("ROLLBACK").unwrap();
  commit(&*store, vec![set("a", "3")]).unwrap();
  assert_eq!(text(&*store, "a").as_deref(), Some("3"));
}

#[test]
fn unreadable_value_affects_its_key_only() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  commit(&*store, vec![set("good", "1")]).unwrap();
  let other = Connection::open(&path).unwrap();
  other
    .execute_batch(
      "INSERT INTO kv (k, v, v_encoding, version) VALUES
         (CAST('encoding' AS BLOB), x'00', 9, 1), (CAST('short' AS BLOB), x'00', 2, 1),
         (CAST('text' AS BLOB), 5, 'x', 1), (CAST('version' AS BLOB), x'00', 3, 'x');",
    )
    .unwrap();
  let mut found = store
    .snapshot_read(vec![range("", "~", 100, false)], ReadOptions::default())
    .wait_blocking()
    .unwrap();
  let entries = found.pop().unwrap();
  let readable = |entry: &EntryRef<'_>| entry.value.decode_error().is_none();
  let readable: Vec<_> = entries
    .iter()
    .map(|entry| (entry.key.to_vec(), readable(&entry)))
    .collect();
  let expected = [
    ("encoding", false),
    ("good", true),
    ("short", false),
    ("text", false),
    ("version", true),
  ];
  assert_eq!(
    readable,
    expected.map(|(key, readable)| (key.into(), readable))
  );
  let sum = mutation("short", MutationKind::Sum(Value::U64(1)));
  assert!(commit(&*store, vec![sum]).is_err());
  commit(
    &*store,
    vec![mutation("short", MutationKind::Delete), set("text", "new")],
  )
  .unwrap();
  assert_eq!(get(&*store, "short"), None);
  assert_eq!(text(&*store, "text").as_deref(), Some("new"));
}

#[test]
fn commits_are_synced_and_the_log_is_a_wal() {
  let folder = TempDir::new().unwrap();
  let opened = connect::writer(&folder.path().join("kv"), &options(), Duration::ZERO).unwrap();
  let pragma = |name| -> String {
    opened
      .connection
      .pragma_query_value(None, name, |row| {
        row.get_ref(0).map(|value| format!("{value:?}"))
      })
      .unwrap()
  };
  assert!(
    pragma("journal_mode").contains("119, 97, 108"),
    "{}",
    pragma("journal_mode")
  );
  // 2 is FULL: a commit has been written to the disk when it is answered.
  assert_eq!(pragma("synchronous"), "Integer(2)");
}

#[test]
fn read_only_option_leaves_the_file_alone() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  {
    let store = open_file(&path, &SqliteOptions::default()).unwrap();
    commit(&*store, vec![set("a", "1")]).unwrap();
  }
  let options = SqliteOptions {
    read_only: true,
    ..SqliteOptions::default()
  };
  let before = std::fs::read(&path).unwrap();
  let store = open_file(&path, &options).unwrap();
  let id = store.database_id(false).wait_blocking().unwrap();
  assert!(id.is_some());
  assert_eq!(store.database_id(true).wait_blocking().unwrap(), id);
  let write = AtomicWrite {
    mutations: vec![set("b", "1")],
    ..AtomicWrite::default()
  };
  assert!(store.atomic_write(write).wait_blocking().is_err());
  drop(store);
  assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn ids_of_writes_are_forgotten_without_more_writes() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let clock = Arc::new(TestClock::default());
  let options = SqliteOptions {
    clock: clock.clone(),
    ..SqliteOptions::default()
  };
  let store = open_file(&path, &options).unwrap();
  for id in 0..20 {
    let write = AtomicWrite {
      id: Some(crate::engine::WriteId([id; 16])),
      mutations: vec![set("a", "1")],
      ..AtomicWrite::default()
    };
    store.atomic_write(write).wait_blocking().unwrap();
  }
  let count = || {
    let connection = Connection::open(&path).unwrap();
    let sql = "SELECT count(*) FROM kv_write_ids";
    connection
      .query_row(sql, [], |row| row.get::<_, i64>(0))
      .unwrap()
  };
  assert_eq!(count(), 20);
  clock.0.fetch_add(600_001, Ordering::SeqCst);
  // Wakes the maintenance thread, which sleeps by the machine's clock.
  drop(store.watch(vec![]));
  for _ in 0..200 {
    if count() == 0 {
      return;
    }
    std::thread::sleep(Duration::from_millis(20));
  }
  panic!("{} ids are left", count());
}
