//! A network that loses, delays, repeats and cuts, servers that stop, and clients that die.

#![allow(
  clippy::expect_used,
  clippy::panic,
  clippy::unwrap_used,
  reason = "a test fails by panicking"
)]

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/http.rs"]
mod raw;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kv_conformance::{Database, Harness, RealTime};
use kv_connect::client::ClientOptions;
use kv_connect::protocol::messages::*;
use kv_connect::server::Server;
use kv_store::engine::{
  self, AtomicWrite, Backend, Check, CommitOutcome, Enqueue, ErrorKind, Mutation, MutationKind,
  ReadOptions, ReadRange,
};
use kv_store::session::WatchStates;
use kv_store::sqlite::{self, SqliteOptions};
use kv_store::{Value, Versionstamp};
use proxy::{Proxy, Random};
use raw::Session;
use support::{TOKEN, TestServer, connect, connect_with, tokens};

fn open(path: &Path) -> Arc<dyn Backend> {
  sqlite::open_file(path, &SqliteOptions::default()).unwrap()
}

fn seed() -> u64 {
  let seed = std::env::var("KV_TEST_SEED").ok();
  let seed = seed.map_or(1, |seed| seed.parse().unwrap());
  println!("KV_TEST_SEED={seed}");
  seed
}

fn write(mutations: impl Into<Vec<Mutation>>) -> AtomicWrite {
  AtomicWrite {
    mutations: mutations.into(),
    ..AtomicWrite::default()
  }
}

fn mutation(key: &str, kind: MutationKind) -> Mutation {
  Mutation {
    key: key.into(),
    kind,
    expire_at: None,
  }
}

fn sum(key: &str) -> Mutation {
  mutation(key, MutationKind::Sum(Value::U64(1)))
}

fn set(key: &str, value: u64) -> Mutation {
  mutation(key, MutationKind::Set(Value::U64(value)))
}

fn get(store: &Arc<dyn Backend>, key: &str) -> Option<(u64, Versionstamp)> {
  let point = ReadRange::point(key.into());
  let read = store.snapshot_read(vec![point], ReadOptions::default());
  let entries = read.wait_blocking().unwrap().remove(0);
  entries.first().map(|entry| match entry.to_held().value {
    Value::U64(number) => (number, entry.versionstamp),
    other => panic!("{other:?}"),
  })
}

struct BrokenNetwork {
  random: Random,
}

impl Harness for BrokenNetwork {
  fn open(&self) -> Database {
    let folder = tempfile::TempDir::new().unwrap();
    let server = TestServer::of(open(&folder.path().join("kv")));
    let proxy = Proxy::start(server.addr, self.random.below(u64::MAX));
    let (a, b) = (
      connect(&proxy.url()).unwrap(),
      connect(&proxy.url()).unwrap(),
    );
    Database::new(a, Arc::new(RealTime))
      .with_other(b)
      .keeping((proxy, server, folder))
  }
}

#[test]
fn histories_are_strictly_serialisable_on_a_broken_network() {
  let random = Random::new(seed());
  kv_conformance::run_some(&BrokenNetwork { random }, "history");
}

#[test]
fn sums_are_exact_on_a_broken_network() {
  let seed = seed();
  let folder = tempfile::TempDir::new().unwrap();
  let server = TestServer::of(open(&folder.path().join("kv")));
  let proxy = Proxy::start(server.addr, seed);
  let total = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
  let clients: Vec<_> = (0..4)
    .map(|client| {
      let (url, total) = (proxy.url(), total.clone());
      std::thread::spawn(move || {
        let store = connect(&url).unwrap();
        let random = Random::new(seed + client);
        for i in 0..150 {
          let key = format!("n{}", random.below(3));
          // A sum, or a compare and set.
          let committed = match i % 3 {
            0 => {
              let held = get(&store, "cas");
              let next = held.map_or(0, |(number, _)| number) + 1;
              let write = AtomicWrite {
                checks: vec![Check {
                  key: "cas".into(),
                  versionstamp: held.map(|(_, versionstamp)| versionstamp),
                }],
                ..write([set("cas", next), sum(&key)])
              };
              store.atomic_write(write).wait_blocking().unwrap()
            }
            _ => store
              .atomic_write(write([sum(&key)]))
              .wait_blocking()
              .unwrap(),
          };
          if let CommitOutcome::Committed(_) = committed {
            let mut total = total.lock().unwrap();
            *total.entry(key).or_default() += 1;
            if i % 3 == 0 {
              *total.entry("cas".into()).or_default() += 1;
            }
          }
        }
      })
    })
    .collect();
  for client in clients {
    client.join().unwrap();
  }
  let faults = proxy.faults.load(std::sync::atomic::Ordering::Relaxed);
  assert!(faults > 50, "{faults}");
  let store = server.connect();
  for (key, count) in total.lock().unwrap().iter() {
    assert_eq!(
      get(&store, key).unwrap().0,
      *count,
      "{key}, {faults} faults"
    );
  }
}

#[test]
fn watch_misses_no_last_state_on_a_broken_network() {
  let folder = tempfile::TempDir::new().unwrap();
  let server = TestServer::of(open(&folder.path().join("kv")));
  let proxy = Proxy::start(server.addr, seed());
  let (watching, writing) = (connect(&proxy.url()).unwrap(), server.connect());
  let states = WatchStates::new(watching, vec![b"a".to_vec()], false).unwrap();
  let writer = std::thread::spawn(move || {
    for i in 1..=60 {
      writing
        .atomic_write(write([set("a", i)]))
        .wait_blocking()
        .unwrap();
      std::thread::sleep(Duration::from_millis(20));
    }
  });
  let mut last = 0;
  while last < 60 {
    let state = futures::executor::block_on(states.next()).unwrap().unwrap();
    let Some(held) = &state[0] else { continue };
    let Value::U64(number) = held.value else {
      panic!()
    };
    // States never go back.
    assert!(number > last);
    last = number;
  }
  writer.join().unwrap();
}

#[test]
fn each_message_is_acked_once_on_a_broken_network() {
  let folder = tempfile::TempDir::new().unwrap();
  let server = TestServer::of(open(&folder.path().join("kv")));
  let proxy = Proxy::start(server.addr, seed());
  let store = connect(&proxy.url()).unwrap();
  let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
  let listener = store.listen().unwrap();
  for i in 0..40u8 {
    let enqueue = Enqueue {
      payload: vec![i],
      due_at: now_ms,
      backoff_schedule: vec![],
      keys_if_undelivered: vec![b"lost".to_vec()],
    };
    let write = AtomicWrite {
      enqueues: vec![enqueue],
      ..AtomicWrite::default()
    };
    store.atomic_write(write).wait_blocking().unwrap();
  }
  let mut seen = Vec::new();
  while seen.len() < 40 {
    for message in listener.receive(7).wait_blocking().unwrap() {
      seen.push(message.payload[0]);
      listener.ack(message.id).wait_blocking().unwrap();
    }
  }
  seen.sort_unstable();
  assert_eq!(seen, (0..40).collect::<Vec<_>>());
  assert_eq!(get(&store, "lost"), None);
}

#[test]
fn calls_survive_a_restart() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let mut server = TestServer::of(open(&path));
  let addr = server.addr;
  let store = server.connect();
  let counting = {
    let store = store.clone();
    std::thread::spawn(move || {
      for _ in 0..300 {
        store
          .atomic_write(write([sum("n")]))
          .wait_blocking()
          .unwrap();
      }
    })
  };
  for _ in 0..3 {
    std::thread::sleep(Duration::from_millis(50));
    server.stop();
    std::thread::sleep(Duration::from_millis(200));
    server = TestServer::start_at(Server::of_database(open(&path), tokens()), addr);
  }
  counting.join().unwrap();
  assert_eq!(get(&store, "n").unwrap().0, 300);
}

#[test]
fn messages_at_work_survive_a_restart_of_the_server() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let mut server = TestServer::of(open(&path));
  let addr = server.addr;
  let store = server.connect();
  let listener = store.listen().unwrap();
  let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
  let enqueue = Enqueue {
    payload: vec![1],
    due_at: now_ms,
    backoff_schedule: vec![],
    keys_if_undelivered: vec![b"lost".to_vec()],
  };
  let message = AtomicWrite {
    enqueues: vec![enqueue],
    ..AtomicWrite::default()
  };
  store.atomic_write(message).wait_blocking().unwrap();
  let received = listener.receive(1).wait_blocking().unwrap().remove(0);
  server.stop();
  server = TestServer::start_at(Server::of_database(open(&path), tokens()), addr);
  // Somebody else who listens does not get it, though more time passes than a lease lasts.
  let other = server.connect().listen().unwrap();
  let waiting = other.receive(1);
  std::thread::sleep(Duration::from_secs(9));
  listener.ack(received.id).wait_blocking().unwrap();
  let runtime = tokio::runtime::Builder::new_current_thread()
    .enable_time()
    .build()
    .unwrap();
  let got =
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(8), waiting.wait()).await });
  assert!(got.is_err(), "{got:?}");
}

#[test]
fn messages_of_a_client_that_died_go_to_others() {
  let folder = tempfile::TempDir::new().unwrap();
  let server = TestServer::of(open(&folder.path().join("kv")));
  let session = Session::open(server.addr, "/", TOKEN);
  let poll = |poll, held: &[String]| QueueExchange {
    session: vec![7; 16],
    poll,
    max: 1,
    wait_ms: 1_000,
    lease_ms: 5_000,
    held: held.to_vec(),
    ..QueueExchange::default()
  };
  let enqueue = kv_connect::protocol::messages::AtomicWrite {
    enqueues: vec![kv_connect::protocol::messages::Enqueue {
      payload: vec![1],
      ..kv_connect::protocol::messages::Enqueue::default()
    }],
    ..kv_connect::protocol::messages::AtomicWrite::default()
  };
  assert_eq!(session.call("atomic_write", &enqueue).status, 200);
  let first: QueueExchangeOutput = session.call("queue_exchange", &poll(1, &[])).message();
  assert_eq!(first.messages.len(), 1);
  let id = first.messages[0].id.clone();
  // A repetition of the poll gives nothing; the next one gives again what its client does not have.
  let again: QueueExchangeOutput = session.call("queue_exchange", &poll(1, &[])).message();
  assert!(again.messages.is_empty());
  let lost: QueueExchangeOutput = session.call("queue_exchange", &poll(2, &[])).message();
  assert_eq!(lost.messages[0].id, id);
  let held: QueueExchangeOutput = session
    .call("queue_exchange", &poll(3, &[id.clone(), "unknown".into()]))
    .message();
  assert!(held.messages.is_empty());
  assert_eq!(held.gone, ["unknown"]);
  // It is not heard of again.
  let started = Instant::now();
  let other = server.connect().listen().unwrap();
  let message = other.receive(1).wait_blocking().unwrap().remove(0);
  assert!(message.id.as_str().ends_with(&id));
  let waited = started.elapsed();
  assert!(
    waited > Duration::from_secs(3) && waited < Duration::from_secs(20),
    "{waited:?}"
  );
  // What the dead one asks for now comes too late.
  let finish = QueueExchange {
    session: vec![7; 16],
    finished: vec![Finish {
      id: id.clone(),
      outcome: FinishOutcome::Delivered.into(),
      delivery: first.messages[0].delivery,
    }],
    ..QueueExchange::default()
  };
  let late: QueueExchangeOutput = session.call("queue_exchange", &finish).message();
  assert_eq!(late.gone, [id]);
}

#[test]
fn a_server_that_is_gone_is_an_error_in_time() {
  let folder = tempfile::TempDir::new().unwrap();
  let mut server = TestServer::of(open(&folder.path().join("kv")));
  let options = ClientOptions::default()
    .token(TOKEN)
    .deadline(Duration::from_secs(1));
  let store = connect_with(&server.url(), options).unwrap();
  store
    .atomic_write(write([sum("n")]))
    .wait_blocking()
    .unwrap();
  server.stop();
  let started = Instant::now();
  let point = ReadRange::point(b"n".to_vec());
  let read = store
    .snapshot_read(vec![point], ReadOptions::default())
    .wait_blocking();
  assert_eq!(read.unwrap_err().kind(), ErrorKind::Unavailable);
  let written = store.atomic_write(write([sum("n")])).wait_blocking();
  assert_eq!(written.unwrap_err().kind(), ErrorKind::Unavailable);
  assert!(
    started.elapsed() < Duration::from_secs(10),
    "{:?}",
    started.elapsed()
  );
}

/// A server that knows no ids: a write that adds is not repeated when its answer is lost.
#[test]
fn without_ids_a_lost_answer_is_an_unknown_outcome() {
  use std::io::{Read, Write};
  let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
  let addr = listener.local_addr().unwrap();
  let writes = Arc::new(Mutex::new(0));
  let seen = writes.clone();
  std::thread::spawn(move || {
    for stream in listener.incoming() {
      let (mut stream, seen) = (stream.unwrap(), seen.clone());
      std::thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        while let Ok(count) = stream.read(&mut bytes) {
          let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
          if count == 0 {
            return;
          }
          if text.contains("/atomic_write") {
            *seen.lock().unwrap() += 1;
            return;
          }
          let body = r#"{"version":3,"databaseId":"00000000-0000-0000-0000-000000000000","endpoints":[{"url":"/v2","consistency":"strong"}],"token":"t","expiresAt":"2090-01-01T00:00:00Z"}"#;
          let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
          );
          stream.write_all(head.as_bytes()).unwrap();
        }
      });
    }
  });
  let options = ClientOptions::default()
    .token(TOKEN)
    .deadline(Duration::from_secs(1));
  let store = connect_with(&format!("http://{addr}"), options).unwrap();
  let added = store.atomic_write(write([sum("n")])).wait_blocking();
  let error = added.unwrap_err();
  assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{error}");
  assert!(
    error.to_string().contains("may have been committed"),
    "{error}"
  );
  assert_eq!(*writes.lock().unwrap(), 1);
  // A set does no harm twice.
  let kept = store.atomic_write(write([set("n", 1)])).wait_blocking();
  assert_eq!(kept.unwrap_err().kind(), ErrorKind::UnknownOutcome);
  assert!(*writes.lock().unwrap() > 2);
  // And there is no queue.
  let error = store.listen().err().unwrap();
  assert_eq!(error.kind(), engine::ErrorKind::Unsupported);
}
