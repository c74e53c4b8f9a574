use std::collections::BTreeSet;
use std::sync::Arc;

use kv_store::engine::{AtomicWrite, CommitOutcome, Enqueue, Listener};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  message_is_delivered,
  message_waits_for_a_listener,
  messages_come_in_the_order_they_are_due,
  delayed_message_does_not_come_before,
  acked_message_is_gone,
  nacked_message_comes_again_after_its_interval,
  given_up_message_is_stored_under_its_keys,
  given_up_message_without_keys_is_gone,
  unfinished_messages_go_to_others,
  each_message_goes_to_one_listener,
  no_more_than_max_are_handed_over,
  closed_listener_ends,
  messages_of_a_closed_listener_can_be_acked,
  acking_twice_is_no_error,
  failed_check_enqueues_nothing,
  payloads_are_kept,
];

fn listen(db: &Database) -> Arc<dyn Listener> {
  db.a.listen().unwrap()
}

fn ack(listener: &Arc<dyn Listener>, message: kv_store::engine::Message) {
  listener.ack(message.id).wait_blocking().unwrap();
}

fn message_is_delivered(db: &Database) {
  let listener = listen(db);
  enqueue(&db.b, [message("m", db.now_ms())]);
  let received = receive_some(&listener, 1);
  assert_eq!(payload(&received[0]), "m");
}

fn message_waits_for_a_listener(db: &Database) {
  enqueue(&db.a, [message("m", db.now_ms())]);
  let listener = db.b.listen().unwrap();
  assert_eq!(payload(&receive_some(&listener, 1)[0]), "m");
}

fn messages_come_in_the_order_they_are_due(db: &Database) {
  let now_ms = db.now_ms();
  let order = [(3, now_ms - 1), (1, now_ms - 3), (2, now_ms - 2)];
  let messages = order.map(|(n, due_at)| message(&n.to_string(), due_at));
  enqueue(&db.a, messages);
  let received = receive_some(&listen(db), 3);
  let payloads: Vec<_> = received.iter().map(payload).collect();
  assert_eq!(payloads, ["1", "2", "3"]);
}

fn delayed_message_does_not_come_before(db: &Database) {
  let listener = listen(db);
  enqueue(&db.a, [message("m", db.now_ms() + 3000)]);
  assert!(receive(&listener, 1, A_WHILE).is_none());
  db.advance(3100);
  assert_eq!(payload(&receive_some(&listener, 1)[0]), "m");
}

fn acked_message_is_gone(db: &Database) {
  let listener = listen(db);
  enqueue(&db.a, [message("m", db.now_ms())]);
  ack(&listener, receive_some(&listener, 1).remove(0));
  drop(listener);
  assert!(receive(&listen(db), 1, A_WHILE).is_none());
}

fn retried(payload: &str, due_at: u64, backoff_schedule: &[u32], keys: &[&str]) -> Enqueue {
  Enqueue {
    backoff_schedule: backoff_schedule.into(),
    keys_if_undelivered: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
    ..message(payload, due_at)
  }
}

fn nacked_message_comes_again_after_its_interval(db: &Database) {
  let listener = listen(db);
  enqueue(&db.a, [retried("m", db.now_ms(), &[2000, 2000], &[])]);
  for _ in 0..2 {
    let received = receive_some(&listener, 1).remove(0);
    listener.nack(received.id).wait_blocking().unwrap();
    assert!(receive(&listener, 1, A_WHILE).is_none());
    db.advance(2100);
  }
  // The schedule is used up.
  let last = receive_some(&listener, 1).remove(0);
  assert_eq!(payload(&last), "m");
  listener.nack(last.id).wait_blocking().unwrap();
  db.advance(2100);
  assert!(receive(&listener, 1, A_WHILE).is_none());
}

fn given_up_message_is_stored_under_its_keys(db: &Database) {
  let listener = listen(db);
  enqueue(&db.a, [retried("m", db.now_ms(), &[], &["lost", "also"])]);
  let received = receive_some(&listener, 1).remove(0);
  listener.nack(received.id).wait_blocking().unwrap();
  for key in ["lost", "also"] {
    let held = get(&db.a, key).unwrap();
    assert_eq!(held.value, kv_store::Value::V8(b"m".to_vec()));
  }
  assert!(receive(&listener, 1, A_WHILE).is_none());
}

fn given_up_message_without_keys_is_gone(db: &Database) {
  let listener = listen(db);
  enqueue(&db.a, [message("m", db.now_ms())]);
  let received = receive_some(&listener, 1).remove(0);
  listener.nack(received.id).wait_blocking().unwrap();
  db.advance(100);
  assert!(receive(&listener, 1, A_WHILE).is_none());
  assert!(keys(&db.a, range("", "~", 10)).is_empty());
}

fn unfinished_messages_go_to_others(db: &Database) {
  let (first, second) = (listen(db), db.b.listen().unwrap());
  enqueue(&db.a, [retried("m", db.now_ms(), &[], &["lost"])]);
  let held = receive_some(&first, 1);
  drop(first);
  drop(held);
  // With its whole schedule: the delivery was not tried to its end.
  assert_eq!(payload(&receive_some(&second, 1)[0]), "m");
  assert_eq!(get(&db.a, "lost"), None);
}

fn each_message_goes_to_one_listener(db: &Database) {
  let listeners = [listen(db), db.b.listen().unwrap()];
  let now_ms = db.now_ms();
  let messages: Vec<_> = (0..50).map(|i| message(&i.to_string(), now_ms)).collect();
  enqueue(&db.a, messages);
  let mut seen = BTreeSet::new();
  let mut idle = 0;
  while seen.len() < 50 {
    idle += 1;
    assert!(idle < 1000, "{} of 50 messages have come", seen.len());
    for listener in &listeners {
      for message in receive(listener, 5, A_WHILE).into_iter().flatten() {
        idle = 0;
        assert!(seen.insert(payload(&message)), "{}", payload(&message));
        ack(listener, message);
      }
    }
  }
}

fn no_more_than_max_are_handed_over(db: &Database) {
  let now_ms = db.now_ms();
  let messages: Vec<_> = (0..10).map(|i| message(&i.to_string(), now_ms)).collect();
  enqueue(&db.a, messages);
  let listener = listen(db);
  let mut left = 10;
  while left > 0 {
    let received = receive(&listener, 3, SOON).expect("a message does not come");
    assert!((1..=3).contains(&received.len()));
    left -= received.len();
  }
}

fn closed_listener_ends(db: &Database) {
  let listener = listen(db);
  let waiting = listener.receive(1);
  listener.close();
  for answer in [waiting, listener.receive(1)] {
    let error = within(SOON, answer.wait()).unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
  }
}

fn messages_of_a_closed_listener_can_be_acked(db: &Database) {
  let listener = listen(db);
  enqueue(&db.a, [message("m", db.now_ms())]);
  let received = receive_some(&listener, 1).remove(0);
  listener.close();
  ack(&listener, received);
  drop(listener);
  assert!(receive(&listen(db), 1, A_WHILE).is_none());
}

fn acking_twice_is_no_error(db: &Database) {
  let listener = listen(db);
  enqueue(&db.a, [message("m", db.now_ms())]);
  let received = receive_some(&listener, 1).remove(0);
  for _ in 0..2 {
    listener.ack(received.id.clone()).wait_blocking().unwrap();
  }
}

fn failed_check_enqueues_nothing(db: &Database) {
  put(&db.a, [set("a", "")]);
  let write = AtomicWrite {
    checks: vec![check("a", None)],
    enqueues: vec![message("m", db.now_ms())],
    ..AtomicWrite::default()
  };
  assert!(matches!(
    commit(&db.a, write),
    CommitOutcome::CheckFailed(_)
  ));
  assert!(receive(&listen(db), 1, A_WHILE).is_none());
}

fn payloads_are_kept(db: &Database) {
  let large: Vec<u8> = (0..65_536_u32).map(|i| (i % 253) as u8).collect();
  let mut enqueued = message("", db.now_ms());
  enqueued.payload = large.clone();
  enqueue(&db.a, [enqueued]);
  assert_eq!(receive_some(&listen(db), 1)[0].payload, large);
}
