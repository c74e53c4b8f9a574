//! What is asked for happens in the order it is asked, by the time at which it happens.

use super::*;
use crate::engine::Answer;

fn read(store: &dyn Backend, limit: u32) -> Answer<Vec<crate::engine::Entries>> {
  store.snapshot_read(vec![range("a", "b", limit, false)], ReadOptions::default())
}

fn found(answer: Answer<Vec<crate::engine::Entries>>) -> Option<String> {
  let ranges = answer.wait_blocking().unwrap();
  let value = ranges[0].first()?.to_held().value;
  let Value::Bytes(bytes) = value else {
    panic!("{value:?}")
  };
  Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn reads_and_writes_in_flight_keep_their_order() {
  let folder = TempDir::new().unwrap();
  let store = open_file(&folder.path().join("kv"), &options()).unwrap();
  for round in 0..50 {
    let mut writes = Vec::new();
    let mut reads = Vec::new();
    for i in 0..40 {
      let value = format!("{round}-{i}");
      writes.push(store.atomic_write(write(vec![set("a", &value)])));
      let limit = [1, 100, 1000][i % 3];
      reads.push((read(&*store, limit), value));
    }
    assert!(store.get_at_once(b"a", ReadOptions::default()).is_none());
    for (answer, value) in reads {
      assert_eq!(found(answer), Some(value));
    }
    for answer in writes {
      let _ = answer.wait_blocking().unwrap();
    }
    // Nothing is outstanding: reads are done at once again.
    assert!(store.get_at_once(b"a", ReadOptions::default()).is_some());
  }
}

#[test]
fn a_long_read_sees_nothing_that_is_asked_for_after_it() {
  let folder = TempDir::new().unwrap();
  let store = open_file(&folder.path().join("kv"), &options()).unwrap();
  let other = open_file(&folder.path().join("kv"), &options()).unwrap();
  for i in 0..50 {
    let value = i.to_string();
    commit(&*store, vec![set("a", &value)]).unwrap();
    let answers: Vec<_> = (0..10).map(|_| read(&*store, 1000)).collect();
    commit(&*other, vec![set("a", "later")]).unwrap();
    for answer in answers {
      assert_eq!(found(answer).as_deref(), Some(value.as_str()));
    }
  }
}

#[test]
fn read_behind_failed_writes() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  commit(&*store, vec![set("a", "1")]).unwrap();
  let other = Connection::open(&path).unwrap();
  other.execute_batch("BEGIN IMMEDIATE").unwrap();
  let write = store.atomic_write(write(vec![set("a", "2")]));
  let answer = read(&*store, 10);
  let error = write.wait_blocking().unwrap_err();
  assert_eq!(error.kind(), ErrorKind::Locked);
  assert_eq!(found(answer).as_deref(), Some("1"));
}

#[test]
fn write_uses_time_of_lock() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let clock = Arc::new(TestClock::default());
  let options = SqliteOptions {
    clock: clock.clone(),
    busy_timeout: Duration::from_secs(10),
    ..options()
  };
  let store = open_file(&path, &options).unwrap();
  let mut expiring = mutation("n", MutationKind::Set(Value::U64(5)));
  expiring.expire_at = Some(1_000);
  commit(&*store, vec![expiring]).unwrap();
  let versionstamp = get(&*store, "n").unwrap().versionstamp;
  let other = Connection::open(&path).unwrap();
  other.execute_batch("BEGIN IMMEDIATE").unwrap();
  let check = AtomicWrite {
    checks: vec![Check {
      key: b"n".to_vec(),
      versionstamp: Some(versionstamp),
    }],
    ..write(vec![set("checked", "1")])
  };
  let waiting = thread::spawn({
    let store = store.clone();
    move || {
      let checked = store.atomic_write(check);
      let summed = store.atomic_write(write(vec![mutation("n", MutationKind::Sum(Value::U64(1)))]));
      (
        checked.wait_blocking().unwrap(),
        summed.wait_blocking().unwrap(),
      )
    }
  });
  thread::sleep(Duration::from_millis(200));
  clock.0.store(1_000, Ordering::SeqCst);
  other.execute_batch("ROLLBACK").unwrap();
  let (checked, _) = waiting.join().unwrap();
  assert_eq!(checked, CommitOutcome::CheckFailed(vec![0]));
  assert_eq!(get(&*store, "n").unwrap().value, Value::U64(1));
}

#[test]
fn what_waits_takes_no_more_memory_than_it_may() {
  let folder = TempDir::new().unwrap();
  let store = open_file(&folder.path().join("kv"), &options()).unwrap();
  // 128 MB, of which half may wait.
  let value = "x".repeat(1 << 20);
  let answers: Vec<_> = (0..128)
    .map(|i| store.atomic_write(write(vec![set(&format!("a{i}"), &value)])))
    .collect();
  let mut answers = answers.into_iter();
  // The first ones had to be committed before the last could be asked for.
  for answer in answers.by_ref().take(50) {
    let started = Instant::now();
    let _ = answer.wait_blocking().unwrap();
    assert!(
      started.elapsed() < Duration::from_millis(5),
      "{:?}",
      started.elapsed()
    );
  }
  for answer in answers {
    let _ = answer.wait_blocking().unwrap();
  }
}

#[cfg(unix)]
#[test]
fn replaced_file_or_log_is_noticed() {
  for name in ["kv", "kv-wal"] {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let options = SqliteOptions {
      busy_timeout: Duration::from_secs(10),
      ..options()
    };
    let store = open_file(&path, &options).unwrap();
    commit(&*store, vec![set("a", "1")]).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = store.atomic_write(write(vec![set("a", "2")]));
    let waiting = thread::spawn(|| answer.wait_blocking());
    thread::sleep(Duration::from_millis(100));
    std::fs::rename(folder.path().join(name), folder.path().join("away")).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Replaced, "{name}: {error}");
    let is_log = error.to_string().contains("the log of the database");
    assert_eq!(is_log, name != "kv", "{error}");
    assert!(commit(&*store, vec![set("a", "3")]).is_err());
  }
}
