//! What a server needs that gives messages to listeners in other processes.

use std::time::Duration;

use kv_store::engine::{Enqueue, MessageId};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  released_message_goes_to_others_untried,
  left_message_can_be_adopted,
  left_message_that_nobody_adopts_comes_again,
  adopted_message_can_be_nacked,
  acked_message_can_not_be_adopted,
  message_of_a_living_listener_can_not_be_adopted,
  listener_adopts_its_own,
];

const LEASE: Duration = Duration::from_secs(20);

fn with_one_interval(db: &Database) -> Enqueue {
  Enqueue {
    backoff_schedule: vec![0],
    ..message("m", db.now_ms())
  }
}

fn released_message_goes_to_others_untried(db: &Database) {
  enqueue(&db.a, [message("m", db.now_ms())]);
  let first = db.a.listen().unwrap();
  for _ in 0..3 {
    let message = receive_some(&first, 1).remove(0);
    first.release(message.id).wait_blocking().unwrap();
  }
  let second = db.b.listen().unwrap();
  let message = receive_some(&second, 1).remove(0);
  assert_eq!(payload(&message), "m");
}

/// A message that a listener has left; its id.
fn left(db: &Database) -> MessageId {
  enqueue(&db.a, [with_one_interval(db)]);
  let first = db.a.listen().unwrap();
  let message = receive_some(&first, 1).remove(0);
  first.leave(LEASE).wait_blocking().unwrap();
  message.id
}

fn left_message_can_be_adopted(db: &Database) {
  let id = left(db);
  let second = db.b.listen().unwrap();
  assert!(receive(&second, 1, A_WHILE).is_none());
  let unknown = MessageId::new("no such message");
  let adopted = second.adopt(vec![id.clone(), unknown]).wait_blocking();
  assert_eq!(adopted.unwrap(), std::slice::from_ref(&id));
  second.ack(id.clone()).wait_blocking().unwrap();
  assert!(second.adopt(vec![id]).wait_blocking().unwrap().is_empty());
}

fn left_message_that_nobody_adopts_comes_again(db: &Database) {
  if !db.has_manual_time() {
    return;
  }
  left(db);
  let second = db.b.listen().unwrap();
  db.advance(10_000);
  assert!(receive(&second, 1, A_WHILE).is_none());
  db.advance(10_001);
  let message = receive_some(&second, 1).remove(0);
  assert_eq!(payload(&message), "m");
}

fn adopted_message_can_be_nacked(db: &Database) {
  let id = left(db);
  let second = db.b.listen().unwrap();
  second.adopt(vec![id.clone()]).wait_blocking().unwrap();
  second.nack(id).wait_blocking().unwrap();
  let again = receive_some(&second, 1).remove(0);
  assert_eq!(payload(&again), "m");
  // The schedule had one interval.
  second.nack(again.id).wait_blocking().unwrap();
  assert!(receive(&second, 1, A_WHILE).is_none());
}

fn acked_message_can_not_be_adopted(db: &Database) {
  enqueue(&db.a, [message("m", db.now_ms())]);
  let first = db.a.listen().unwrap();
  let message = receive_some(&first, 1).remove(0);
  first.ack(message.id.clone()).wait_blocking().unwrap();
  let adopted = first.adopt(vec![message.id]).wait_blocking();
  assert!(adopted.unwrap().is_empty());
}

fn message_of_a_living_listener_can_not_be_adopted(db: &Database) {
  enqueue(&db.a, [message("m", db.now_ms())]);
  let (first, second) = (db.a.listen().unwrap(), db.a.listen().unwrap());
  let message = receive_some(&first, 1).remove(0);
  let adopted = second.adopt(vec![message.id.clone()]).wait_blocking();
  assert!(adopted.unwrap().is_empty());
  first.ack(message.id).wait_blocking().unwrap();
}

fn listener_adopts_its_own(db: &Database) {
  enqueue(&db.a, [message("m", db.now_ms())]);
  let first = db.a.listen().unwrap();
  let message = receive_some(&first, 1).remove(0);
  let adopted = first.adopt(vec![message.id.clone()]).wait_blocking();
  assert_eq!(adopted.unwrap(), [message.id]);
}
