//! The queue: at least once, in order, to one of those who listen.

use super::*;
use crate::engine::{Answer, Enqueue, Listener, Message};

fn message(payload: &str, due_at: u64, backoff_schedule: &[u32]) -> Enqueue {
  Enqueue {
    payload: payload.into(),
    due_at,
    backoff_schedule: backoff_schedule.into(),
    keys_if_undelivered: vec!["u1".into(), "u2".into()],
  }
}

fn enqueue(store: &dyn Backend, messages: Vec<Enqueue>) {
  let write = AtomicWrite {
    enqueues: messages,
    ..AtomicWrite::default()
  };
  store.atomic_write(write).wait_blocking().unwrap();
}

/// What an answer is within `patience`.
fn within<T>(answer: Answer<T>, patience: Duration) -> Option<T> {
  let runtime = tokio::runtime::Builder::new_current_thread()
    .enable_time()
    .build()
    .unwrap();
  let result = runtime.block_on(async { tokio::time::timeout(patience, answer.wait()).await });
  result.ok().map(Result::unwrap)
}

fn receive(listener: &dyn Listener, max: usize) -> Vec<Message> {
  within(listener.receive(max), Duration::from_secs(10)).unwrap()
}

fn nothing(listener: &dyn Listener) -> bool {
  within(listener.receive(100), Duration::from_millis(100)).is_none()
}

fn payloads(messages: &[Message]) -> Vec<&str> {
  messages
    .iter()
    .map(|message| std::str::from_utf8(&message.payload).unwrap())
    .collect()
}

fn finish(listener: &dyn Listener, messages: Vec<Message>, delivered: bool) {
  for message in messages {
    let answer = match delivered {
      true => listener.ack(message.id),
      false => listener.nack(message.id),
    };
    answer.wait_blocking().unwrap();
  }
}

/// Sets the clock, and wakes the maintenance thread, whose sleep is measured in real time.
fn advance(store: &dyn Backend, clock: &TestClock, now_ms: u64) {
  clock.0.store(now_ms, Ordering::SeqCst);
  drop(store.watch(Vec::new()).unwrap());
}

#[test]
fn messages_come_in_due_order() {
  on_both(|store, clock| {
    let listener = store.listen().unwrap();
    enqueue(
      &*store,
      vec![message("late", 2_000, &[]), message("first", 0, &[])],
    );
    enqueue(
      &*store,
      vec![message("second", 0, &[]), message("early", 1_000, &[])],
    );
    let first = receive(&*listener, 10);
    assert_eq!(payloads(&first), ["first", "second"]);
    assert!(nothing(&*listener));
    advance(&*store, &clock, 999);
    assert!(nothing(&*listener));
    advance(&*store, &clock, 2_500);
    assert_eq!(payloads(&receive(&*listener, 10)), ["early", "late"]);
    finish(&*listener, first, true);
    assert!(nothing(&*listener));
  });
}

#[test]
fn no_more_are_handed_over_than_asked_for() {
  on_both(|store, _| {
    enqueue(
      &*store,
      (0..250).map(|i| message(&i.to_string(), 0, &[])).collect(),
    );
    let listener = store.listen().unwrap();
    let mut seen = Vec::new();
    for max in [1, 3, 500, 500, 500] {
      let messages = receive(&*listener, max);
      assert!(messages.len() <= max);
      seen.extend(payloads(&messages).into_iter().map(String::from));
      finish(&*listener, messages, true);
      if seen.len() == 250 {
        break;
      }
    }
    assert_eq!(seen, (0..250).map(|i| i.to_string()).collect::<Vec<_>>());
  });
}

#[test]
fn nacked_message_follows_backoff_then_given_up() {
  on_both(|store, clock| {
    let listener = store.listen().unwrap();
    enqueue(&*store, vec![message("m", 0, &[100, 5_000])]);
    finish(&*listener, receive(&*listener, 1), false);
    advance(&*store, &clock, 99);
    assert!(nothing(&*listener));
    advance(&*store, &clock, 100);
    finish(&*listener, receive(&*listener, 1), false);
    advance(&*store, &clock, 5_099);
    assert!(nothing(&*listener));
    advance(&*store, &clock, 5_100);
    let watcher = store.watch(vec!["u2".into()]).unwrap();
    finish(&*listener, receive(&*listener, 1), false);
    for key in ["u1", "u2"] {
      assert_eq!(get(&*store, key).unwrap().value, Value::V8(b"m".to_vec()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
      .build()
      .unwrap();
    assert!(runtime.block_on(watcher.changed()).unwrap().is_some());
    advance(&*store, &clock, 100_000);
    assert!(nothing(&*listener));
  });
}

#[test]
fn each_message_is_given_to_one_of_those_who_listen() {
  on_both(|store, _| {
    let listeners = [
      store.listen().unwrap(),
      store.listen().unwrap(),
      store.listen().unwrap(),
    ];
    let waiting: Vec<_> = listeners
      .iter()
      .map(|listener| listener.receive(100))
      .collect();
    enqueue(
      &*store,
      (0..90).map(|i| message(&i.to_string(), 0, &[])).collect(),
    );
    let mut seen = Vec::new();
    for answer in waiting {
      let messages = within(answer, Duration::from_secs(10)).unwrap();
      assert!(messages.len() >= 20, "{}", messages.len());
      seen.extend(messages.into_iter().map(|message| message.payload));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 90);
  });
}

#[test]
fn a_listener_that_goes_leaves_its_messages_to_others() {
  on_both(|store, _| {
    let gone = store.listen().unwrap();
    enqueue(&*store, vec![message("m", 0, &[60_000])]);
    assert_eq!(receive(&*gone, 1).len(), 1);
    let listener = store.listen().unwrap();
    assert!(nothing(&*listener));
    drop(gone);
    assert_eq!(payloads(&receive(&*listener, 1)), ["m"]);
  });
}

#[test]
fn a_wait_that_was_given_up_gets_no_messages() {
  on_both(|store, _| {
    let listener = store.listen().unwrap();
    let waiting = listener.receive(10);
    drop(waiting);
    enqueue(&*store, vec![message("m", 0, &[])]);
    assert_eq!(payloads(&receive(&*listener, 1)), ["m"]);
  });
}

#[test]
fn closing_a_listener_ends_its_wait_and_no_other() {
  on_both(|store, _| {
    let (closed, other) = (store.listen().unwrap(), store.listen().unwrap());
    let waiting = closed.receive(1);
    let others = other.receive(1);
    closed.close();
    assert!(waiting.wait_blocking().unwrap_err().is_closed());
    let late = closed.receive(1);
    assert!(late.wait_blocking().unwrap_err().is_closed());
    enqueue(&*store, vec![message("m", 0, &[])]);
    let messages = within(others, Duration::from_secs(10)).unwrap();
    assert_eq!(payloads(&messages), ["m"]);
  });
}

#[test]
fn a_message_is_acknowledged_once() {
  on_both(|store, _| {
    let listener = store.listen().unwrap();
    enqueue(&*store, vec![message("m", 0, &[0])]);
    let [message] = receive(&*listener, 1).try_into().unwrap();
    listener.ack(message.id.clone()).wait_blocking().unwrap();
    // What came second counts no more.
    listener.nack(message.id).wait_blocking().unwrap();
    assert!(nothing(&*listener));
  });
}

#[test]
fn only_dead_process_messages_are_reclaimed() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let clock = Arc::new(TestClock::default());
  let options = SqliteOptions {
    clock: clock.clone(),
    ..options()
  };
  let store = open_file(&path, &options).unwrap();
  enqueue(&*store, vec![message("dead", 0, &[60_000])]);
  // A process that has taken it and was killed: nothing moves its deadline.
  let listener = store.listen().unwrap();
  let taken = receive(&*listener, 1);
  let process = Connection::open(&path).unwrap();
  let rows: Vec<(String, Vec<u8>)> = {
    let mut rows = process
      .prepare("SELECT id, data FROM queue_running")
      .unwrap();
    let rows = rows
      .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
      .unwrap();
    rows.collect::<Result<_, _>>().unwrap()
  };
  assert_eq!(rows.len(), 1);
  finish(&*listener, taken, true);
  process
    .execute(
      "INSERT INTO queue_running VALUES (5000, ?1, ?2, '[60000]', '[]')",
      rows[0].clone(),
    )
    .unwrap();
  enqueue(&*store, vec![message("alive", 0, &[60_000])]);
  let alive = receive(&*listener, 1);
  assert_eq!(payloads(&alive), ["alive"]);
  clock.0.store(4_999, Ordering::SeqCst);
  assert!(nothing(&*listener));
  // The one that lives gets a new deadline before its own is over, in real time.
  let deadline = || -> i64 {
    process
      .query_row("SELECT max(deadline) FROM queue_running", [], |row| {
        row.get(0)
      })
      .unwrap()
  };
  let patience = Instant::now() + Duration::from_secs(10);
  while deadline() < 9_000 {
    assert!(Instant::now() < patience, "{}", deadline());
    thread::sleep(Duration::from_millis(20));
  }
  clock.0.store(5_001, Ordering::SeqCst);
  assert_eq!(payloads(&receive(&*listener, 10)), ["dead"]);
  assert!(nothing(&*listener));
}

#[test]
fn clock_jump_keeps_messages_exact() {
  const HOUR: u64 = 3_600_000;
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let clock = Arc::new(TestClock::default());
  clock.0.store(10 * HOUR, Ordering::SeqCst);
  let options = SqliteOptions {
    clock: clock.clone(),
    ..options()
  };
  let store = open_file(&path, &options).unwrap();
  let listener = store.listen().unwrap();
  enqueue(&*store, vec![message("alive", 0, &[60_000])]);
  let alive = receive(&*listener, 1);
  assert_eq!(payloads(&alive), ["alive"]);
  let deadline = || -> u64 {
    let process = Connection::open(&path).unwrap();
    let deadline: i64 = process
      .query_row("SELECT max(deadline) FROM queue_running", [], |row| {
        row.get(0)
      })
      .unwrap();
    deadline as u64
  };
  for now_ms in [11 * HOUR, 5 * HOUR, 20 * HOUR] {
    clock.0.store(now_ms, Ordering::SeqCst);
    assert!(nothing(&*listener));
    // Its deadline follows the clock.
    let patience = Instant::now() + Duration::from_secs(10);
    while !(now_ms..=now_ms + 5_000).contains(&deadline()) {
      assert!(Instant::now() < patience, "{now_ms}: {}", deadline());
      assert!(nothing(&*listener));
    }
  }
  finish(&*listener, alive, true);

  // A process died while its clock was ahead.
  let process = Connection::open(&path).unwrap();
  process
    .execute(
      "INSERT INTO queue_running VALUES (?1, 'x', x'6d', '[60000]', '[]')",
      [(30 * HOUR) as i64],
    )
    .unwrap();
  assert_eq!(payloads(&receive(&*listener, 10)), ["m"]);
}

#[test]
fn denos_rows_are_understood() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  let listener = store.listen().unwrap();
  assert!(nothing(&*listener));
  let process = Connection::open(&path).unwrap();
  // Keys as arrays of numbers, and no schedule: the message is given up at once.
  process
    .execute(
      "INSERT INTO queue VALUES (5, '0e1b2f3c-1111-4222-8333-444455556666', x'ff', 'null', '[[97]]')",
      [],
    )
    .unwrap();
  // What is damaged is as good as empty, and does not go round for ever.
  process
    .execute(
      "INSERT INTO queue VALUES (6, 'damaged', x'fe', '{', '?')",
      [],
    )
    .unwrap();
  process
    .execute("UPDATE data_version SET version = version + 1", [])
    .unwrap();
  let mut messages = receive(&*listener, 10);
  if messages.len() < 2 {
    messages.extend(receive(&*listener, 10));
  }
  assert_eq!(messages.len(), 2);
  finish(&*listener, messages, false);
  assert_eq!(get(&*store, "a").unwrap().value, Value::V8(vec![0xff]));
  assert!(nothing(&*listener));
}

#[test]
fn a_damaged_message_is_no_end_of_others() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  let raw = Connection::open(&path).unwrap();
  for row in [
    "0, 'a', 5, '[]', '[]'",
    "0, 'b', x'00', 5, 5",
    "0, x'01', x'00', '[]', '[]'",
  ] {
    let sql = format!("INSERT INTO queue VALUES ({row})");
    raw.execute(&sql, []).unwrap();
  }
  enqueue(&*store, vec![message("m", 1, &[])]);
  let listener = store.listen().unwrap();
  let messages = receive(&*listener, 10);
  // The one whose id is no text is passed over.
  assert_eq!(messages.len(), 3);
  assert_eq!(payloads(&messages[2..]), ["m"]);
  finish(&*listener, messages, false);
  assert!(nothing(&*listener));
}

#[test]
fn listener_sees_file_error_and_recovers() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  enqueue(&*store, vec![message("m", 0, &[])]);
  let raw = Connection::open(&path).unwrap();
  raw
    .execute_batch("ALTER TABLE queue RENAME TO elsewhere")
    .unwrap();
  let listener = store.listen().unwrap();
  assert!(listener.receive(1).wait_blocking().is_err());
  raw
    .execute_batch("ALTER TABLE elsewhere RENAME TO queue")
    .unwrap();
  commit(&*store, vec![set("a", "x")]).unwrap();
  assert_eq!(payloads(&receive(&*listener, 1)), ["m"]);
}

#[test]
fn while_another_process_writes_messages_wait() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  enqueue(&*store, vec![message("m", 0, &[])]);
  let raw = Connection::open(&path).unwrap();
  raw.execute_batch("BEGIN IMMEDIATE").unwrap();
  let listener = store.listen().unwrap();
  let answer = listener.receive(1);
  // Longer than the store waits for the lock.
  thread::sleep(Duration::from_millis(700));
  raw.execute_batch("ROLLBACK").unwrap();
  let messages = within(answer, Duration::from_secs(5)).unwrap();
  assert_eq!(payloads(&messages), ["m"]);
  finish(&*listener, messages, true);
}
