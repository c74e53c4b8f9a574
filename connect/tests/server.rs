//! What the server answers to clients that are strict, old, wrong or hostile.

#![allow(
  clippy::expect_used,
  clippy::panic,
  clippy::unwrap_used,
  reason = "a test fails by panicking"
)]

#[path = "support/http.rs"]
mod raw;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kv_connect::protocol::messages::*;
use kv_connect::protocol::{FrameReader, KEEP_ALIVE};
use kv_connect::server::{Rights, Server, ServerLimits, Token, Tokens};
use kv_store::engine::Backend;
use kv_store::sqlite::{self, SqliteOptions};
use prost::Message;
use raw::{ALL_VERSIONS, Session, metadata_request, request, send};
use support::{TOKEN, TestServer, tokens};

fn in_memory() -> Arc<dyn Backend> {
  sqlite::open_memory(&SqliteOptions::default()).unwrap()
}

fn started() -> (TestServer, Session) {
  let server = TestServer::of(in_memory());
  let session = Session::open(server.addr, "/", TOKEN);
  (server, session)
}

fn set(key: &[u8], value: &[u8]) -> Mutation {
  Mutation {
    key: key.to_vec(),
    value: Some(KvValue {
      data: value.to_vec(),
      encoding: ValueEncoding::Bytes.into(),
    }),
    mutation_type: MutationType::Set.into(),
    ..Mutation::default()
  }
}

fn write(mutations: Vec<Mutation>) -> AtomicWrite {
  AtomicWrite {
    mutations,
    ..AtomicWrite::default()
  }
}

fn point(key: &[u8]) -> SnapshotRead {
  SnapshotRead {
    ranges: vec![ReadRange {
      start: key.to_vec(),
      end: [key, &[0]].concat(),
      limit: 1,
      reverse: false,
    }],
  }
}

fn value(session: &Session, key: &[u8]) -> Option<Vec<u8>> {
  let output: SnapshotReadOutput = session.call("snapshot_read", &point(key)).message();
  let entry = output.ranges[0].values.first();
  entry.map(|entry| entry.value.clone())
}

#[test]
fn metadata_exchange_is_strict_and_helpful() {
  let server = TestServer::of(in_memory());
  let ask = |token: &str, body: &str| send(server.addr, &metadata_request("/", token, body));
  let answer = ask(TOKEN, ALL_VERSIONS);
  // npm's client compares it for equality.
  assert_eq!(answer.header("content-type"), Some("application/json"));
  assert_eq!(answer.header("x-kv-extensions"), Some("idempotency/1"));
  let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
  let fields: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
  assert_eq!(fields.len(), 5, "{json}");
  assert_eq!(json["version"], 3);
  assert_eq!(json["endpoints"][0]["url"], "/v3");
  assert!(json["expiresAt"].as_str().unwrap().ends_with('Z'));
  let version = |body| {
    let json: serde_json::Value = serde_json::from_slice(&ask(TOKEN, body).body).unwrap();
    json["version"].clone()
  };
  assert_eq!(version(r#"{"supportedVersions":[2]}"#), 2);
  assert_eq!(version(r#"{"supportedVersions":[1,9]}"#), 1);
  assert_eq!(version(""), 1);
  let first: serde_json::Value = serde_json::from_slice(&ask(TOKEN, "").body).unwrap();
  assert_eq!(first["endpoints"][0]["url"], "http://localhost/v3");
  for (token, body, status, text) in [
    (TOKEN, "{", 400, "JSON"),
    (
      TOKEN,
      r#"{"supportedVersions":[4]}"#,
      400,
      "could not negotiate",
    ),
    (
      "another-token-altogether",
      ALL_VERSIONS,
      401,
      "Invalid access token.",
    ),
    ("", ALL_VERSIONS, 401, "Malformed authorization header."),
  ] {
    let answer = ask(token, body);
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.text().contains(text), "{}", answer.text());
  }
  let none = send(
    server.addr,
    &request("POST", "/", &[], ALL_VERSIONS.as_bytes()),
  );
  assert_eq!(
    (none.status, &*none.text()),
    (401, "Malformed authorization header.")
  );
  let basic = [("authorization", "Basic abc")];
  let basic = send(
    server.addr,
    &request("POST", "/", &basic, ALL_VERSIONS.as_bytes()),
  );
  assert_eq!(basic.status, 401);
  assert_eq!(
    send(server.addr, &request("GET", "/", &[], b"")).status,
    405
  );
  assert_eq!(
    send(server.addr, &request("POST", "/v2/x", &[], b"")).status,
    404
  );
}

#[test]
fn data_path_wants_its_own_token_version_and_id() {
  let (_server, session) = started();
  let read = |headers: &[(&str, &str)]| {
    let answer = session.call_with("snapshot_read", headers, &point(b"a"));
    (answer.status, answer.text())
  };
  assert_eq!(read(&[]).0, 200);
  assert_eq!(read(&[("x-denokv-version", "2")]).0, 200);
  let first = [
    ("x-denokv-version", ""),
    ("x-denokv-database-id", ""),
    (
      "x-transaction-domain-id",
      &*session.metadata.database_id.to_string(),
    ),
  ];
  assert_eq!(read(&first).0, 200);
  for headers in [
    [("authorization", "")],
    [("authorization", "Bearer a-token-for-tests-only")],
    [("authorization", "Bearer AAAA")],
  ] {
    assert_eq!(read(&headers).0, 401, "{headers:?}");
  }
  for headers in [
    [("x-denokv-version", "")],
    [("x-denokv-version", "4")],
    [("x-denokv-database-id", "")],
    [(
      "x-denokv-database-id",
      "00000000-0000-0000-0000-000000000000",
    )],
  ] {
    assert_eq!(read(&headers).0, 400, "{headers:?}");
  }
}

#[test]
fn wrong_tokens_are_limited() {
  let (server, session) = started();
  let ask = |token: &str| send(server.addr, &metadata_request("/", token, ALL_VERSIONS));
  for _ in 0..30 {
    assert_eq!(ask("wrong-wrong-wrong-wrong").status, 401);
  }
  let answer = ask(TOKEN);
  assert_eq!(answer.status, 429);
  assert_eq!(answer.header("retry-after"), Some("60"));
  // Who has a token of the data path is not shut out.
  assert_eq!(value(&session, b"a"), None);
}

#[test]
fn strangers_send_no_bodies() {
  let server = TestServer::of(in_memory());
  let large = metadata_request("/", TOKEN, &"x".repeat(100_000));
  assert_eq!(send(server.addr, &large).status, 413);
  let large = metadata_request("/", "wrong-wrong-wrong-wrong", &"x".repeat(100_000));
  assert_eq!(send(server.addr, &large).status, 401);
}

#[test]
fn silent_connections_end() {
  let mut limits = ServerLimits::default();
  limits.head_time = Duration::from_millis(600);
  let builder = Server::of_database(in_memory(), tokens()).limits(limits);
  let server = TestServer::start(builder);
  for begin in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\n"] {
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream
      .set_read_timeout(Some(Duration::from_secs(10)))
      .unwrap();
    stream.write_all(begin).unwrap();
    let started = Instant::now();
    let _ = stream.read_to_end(&mut Vec::new());
    assert!(started.elapsed() < Duration::from_secs(8), "{begin:?}");
  }
}

#[test]
fn malformed_requests_are_400() {
  let (_server, session) = started();
  let le64 = Mutation {
    value: Some(KvValue {
      data: vec![1, 2, 3],
      encoding: ValueEncoding::Le64.into(),
    }),
    ..set(b"a", b"")
  };
  let unknown_encoding = Mutation {
    value: Some(KvValue {
      data: vec![1],
      encoding: 9,
    }),
    ..set(b"a", b"")
  };
  let kind = |mutation_type| Mutation {
    mutation_type,
    ..set(b"a", b"")
  };
  let without_value = Mutation {
    value: None,
    ..set(b"a", b"")
  };
  let mutations = [
    (le64, "8 bytes"),
    (unknown_encoding, "encoding is unknown"),
    (kind(0), "Invalid mutation kind"),
    (kind(7), "Invalid mutation kind"),
    (without_value, "Invalid mutation kind"),
    (set(b"", b""), "key cannot be empty"),
    (
      set(&[1; 2049], b""),
      "Key too large for write (max 2048 bytes)",
    ),
    (set(b"a", &[1; 65_537]), "Value too large (max 65536 bytes)"),
    (
      Mutation {
        expire_at_ms: -2,
        ..set(b"a", b"")
      },
      "invalid expiration",
    ),
  ];
  for (mutation, text) in mutations {
    let answer = session.call("atomic_write", &write(vec![set(b"mark", b""), mutation]));
    assert_eq!(answer.status, 400, "{text}");
    assert!(answer.text().contains(text), "{}", answer.text());
  }
  let enqueue = |deadline_ms| AtomicWrite {
    enqueues: vec![Enqueue {
      payload: vec![0xff, 15, b'0'],
      deadline_ms,
      ..Enqueue::default()
    }],
    ..AtomicWrite::default()
  };
  let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
  for (deadline, status) in [
    (-1, 400),
    (now_ms + 31 * 86_400_000, 400),
    (now_ms + 29 * 86_400_000, 200),
    (0, 200),
  ] {
    let answer = session.call("atomic_write", &enqueue(deadline));
    assert_eq!(answer.status, status, "{deadline} {}", answer.text());
  }
  let check = Check {
    key: b"a".to_vec(),
    versionstamp: vec![1; 9],
  };
  let checked = AtomicWrite {
    checks: vec![check.clone()],
    ..AtomicWrite::default()
  };
  assert_eq!(session.call("atomic_write", &checked).status, 400);
  let range = point(b"a").ranges.remove(0);
  for (ranges, text) in [
    (vec![range.clone(); 11], "Too many ranges (max 10)"),
    (
      vec![ReadRange {
        limit: 0,
        ..range.clone()
      }],
      "limit",
    ),
    (
      vec![ReadRange {
        limit: -1,
        ..range.clone()
      }],
      "limit",
    ),
    (
      vec![
        ReadRange {
          limit: 600,
          ..range.clone()
        };
        2
      ],
      "Too many entries (max 1000)",
    ),
  ] {
    let answer = session.call("snapshot_read", &SnapshotRead { ranges });
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains(text), "{}", answer.text());
  }
  for method in ["snapshot_read", "atomic_write", "watch"] {
    let answer = send(
      session.addr,
      &session.request(method, &[], b"\xff\xff\xff\xff"),
    );
    assert_eq!(answer.status, 400, "{method} {}", answer.text());
    // A million empty fields would take a hundred times their size in memory.
    let many = send(
      session.addr,
      &session.request(method, &[], &b"\x0a\x00".repeat(30_000)),
    );
    assert_eq!(many.status, 400, "{method} {}", many.text());
  }
  let large = session.request("atomic_write", &[], &vec![0; (2 << 20) + 1]);
  assert_eq!(send(session.addr, &large).status, 413);
  // Nothing of all that was written.
  assert_eq!(value(&session, b"mark"), None);
}

#[test]
fn a_write_that_fails_leaves_nothing() {
  let (_server, session) = started();
  let text = write(vec![set(b"text", b"x")]);
  assert_eq!(session.call("atomic_write", &text).status, 200);
  let sum = Mutation {
    key: b"text".to_vec(),
    value: Some(KvValue {
      data: 1u64.to_le_bytes().to_vec(),
      encoding: ValueEncoding::Le64.into(),
    }),
    mutation_type: MutationType::Sum.into(),
    ..Mutation::default()
  };
  let answer = session.call("atomic_write", &write(vec![set(b"mark", b""), sum]));
  assert_eq!(answer.status, 400);
  assert_eq!(answer.header("x-kv-error-kind"), Some("type-mismatch"));
  assert_eq!(value(&session, b"mark"), None);
}

#[test]
fn hundred_checks_fail_by_index() {
  let (_server, session) = started();
  let checks = (0..100u8).map(|index| Check {
    key: vec![index + 1],
    // The odd ones don't hold.
    versionstamp: if index % 2 == 1 { vec![1; 10] } else { vec![] },
  });
  let write = AtomicWrite {
    checks: checks.collect(),
    ..AtomicWrite::default()
  };
  let output: AtomicWriteOutput = session.call("atomic_write", &write).message();
  assert_eq!(output.status, AtomicWriteStatus::CheckFailure as i32);
  let odd: Vec<u32> = (0..100).filter(|index| index % 2 == 1).collect();
  assert_eq!(output.failed_checks, odd);
}

#[test]
fn expired_values_are_not_returned() {
  let (_server, session) = started();
  let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
  let expires = |key: &[u8], expire_at_ms| Mutation {
    expire_at_ms,
    ..set(key, b"x")
  };
  let mutations = vec![
    expires(b"past", 1),
    expires(b"soon", now_ms + 300),
    expires(b"never", 0),
    expires(b"also", -1),
  ];
  session.call("atomic_write", &write(mutations));
  assert_eq!(value(&session, b"past"), None);
  assert!(value(&session, b"soon").is_some());
  std::thread::sleep(Duration::from_millis(320));
  assert_eq!(value(&session, b"soon"), None);
  assert!(value(&session, b"never").is_some() && value(&session, b"also").is_some());
}

#[test]
fn read_only_server_says_so_in_the_answer() {
  let server = TestServer::start(Server::of_database(in_memory(), tokens()).read_only(true));
  let session = Session::open(server.addr, "/", TOKEN);
  let output: AtomicWriteOutput = session
    .call("atomic_write", &write(vec![set(b"a", b"")]))
    .message();
  assert_eq!(output.status, AtomicWriteStatus::WriteDisabled as i32);
  assert_eq!(value(&session, b"a"), None);
  let answer = session.call("queue_exchange", &QueueExchange::default());
  let output: QueueExchangeOutput = answer.message();
  assert_eq!(output.status, QueueStatus::Disabled as i32);
}

#[test]
fn rights_and_databases_of_tokens() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().to_path_buf();
  let opener = move |name: String, may_create: bool| {
    let file = path.join(name);
    Box::pin(async move {
      if !may_create && !file.exists() {
        return Ok(None);
      }
      sqlite::open_file(&file, &SqliteOptions::default()).map(Some)
    }) as _
  };
  let rights = |read, write, queue| {
    let mut rights = Rights::ALL;
    (rights.read, rights.write, rights.queue) = (read, write, queue);
    rights
  };
  let token = |secret: &str, rights| Token::new(secret).unwrap().rights(rights);
  let tokens = Tokens::new([
    token("reads-only-0123456789", rights(true, false, false)),
    token("writes-only-0123456789", rights(false, true, false)),
    token("of-orders-0123456789", Rights::ALL).databases(["orders".to_owned()]),
  ]);
  let server = TestServer::start(Server::of_databases(Arc::new(opener), tokens));
  let ask = |path: &str, token: &str| {
    let answer = send(server.addr, &metadata_request(path, token, ALL_VERSIONS));
    (answer.status, answer.text())
  };
  let missing = ask("/orders", "reads-only-0123456789");
  assert_eq!(missing.0, 404, "{missing:?}");
  let writer = Session::open(server.addr, "/orders", "writes-only-0123456789");
  let reader = Session::open(server.addr, "/orders", "reads-only-0123456789");
  assert!(writer.metadata.endpoints[0].url.ends_with("/orders/v3"));
  let one = write(vec![set(b"a", b"1")]);
  assert_eq!(writer.call("atomic_write", &one).status, 200);
  assert_eq!(reader.call("atomic_write", &one).status, 403);
  assert_eq!(value(&reader, b"a"), Some(b"1".to_vec()));
  assert_eq!(writer.call("snapshot_read", &point(b"a")).status, 403);
  assert_eq!(writer.call("watch", &Watch::default()).status, 403);
  assert_eq!(
    writer
      .call("queue_exchange", &QueueExchange::default())
      .status,
    403
  );
  assert_eq!(ask("/customers", "of-orders-0123456789").0, 401);
  let orders = Session::open(server.addr, "/orders", "of-orders-0123456789");
  // Its token is none of another database.
  let customers = Session::open(server.addr, "/customers", "writes-only-0123456789");
  let stolen = [(
    "authorization",
    &*format!("Bearer {}", orders.metadata.token),
  )];
  assert_eq!(
    customers
      .call_with("snapshot_read", &stolen, &point(b"a"))
      .status,
    401
  );
  for path in ["/..", "/.hidden", "/a%2f..%2fb", "/a/b", "/"] {
    let (status, _) = ask(path, "writes-only-0123456789");
    assert!(status == 400 || status == 404, "{path} {status}");
  }
}

#[test]
fn repeated_write_id_is_done_once() {
  let (_server, session) = started();
  let sum = Mutation {
    key: b"n".to_vec(),
    value: Some(KvValue {
      data: 1u64.to_le_bytes().to_vec(),
      encoding: ValueEncoding::Le64.into(),
    }),
    mutation_type: MutationType::Sum.into(),
    ..Mutation::default()
  };
  let id = [("x-kv-write-id", "00112233445566778899aabbccddeeff")];
  let outputs: Vec<AtomicWriteOutput> = (0..3)
    .map(|_| {
      session
        .call_with("atomic_write", &id, &write(vec![sum.clone()]))
        .message()
    })
    .collect();
  assert!(outputs.iter().all(|output| *output == outputs[0]));
  assert_eq!(value(&session, b"n"), Some(1u64.to_le_bytes().to_vec()));
  let wrong = [("x-kv-write-id", "xyz")];
  assert_eq!(
    session
      .call_with("atomic_write", &wrong, &write(vec![sum]))
      .status,
    400
  );
}

/// Reads chunks of a body; `None`: it has ended as it should.
fn next_chunk(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
  loop {
    if let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") {
      let size = std::str::from_utf8(&buffer[..end]).unwrap();
      let size = usize::from_str_radix(size, 16).unwrap();
      if buffer.len() >= end + 2 + size + 2 {
        let chunk = buffer[end + 2..end + 2 + size].to_vec();
        buffer.drain(..end + 2 + size + 2);
        return (size > 0).then_some(chunk);
      }
    }
    let mut piece = [0; 4096];
    let count = stream.read(&mut piece).unwrap();
    assert!(count > 0, "the body broke off");
    buffer.extend(&piece[..count]);
  }
}

#[test]
fn watch_begins_with_all_keys_and_ends_cleanly() {
  let (mut server, session) = started();
  let watch = Watch {
    keys: [b"a", b"b"]
      .map(|key| WatchKey { key: key.to_vec() })
      .into(),
  };
  let mut stream = TcpStream::connect(session.addr).unwrap();
  stream
    .set_read_timeout(Some(Duration::from_secs(20)))
    .unwrap();
  let bytes = session.request("watch", &[], &watch.encode_to_vec());
  stream.write_all(&bytes).unwrap();
  let (head, mut buffer) = raw::read_head(&mut stream);
  assert_eq!(
    head.header("content-type"),
    Some("application/octet-stream")
  );
  let mut frames = FrameReader::default();
  let mut next = |stream: &mut TcpStream| loop {
    if let Some(output) = frames.next_frame().unwrap() {
      return output;
    }
    frames.push(&next_chunk(stream, &mut buffer).unwrap());
  };
  let first = next(&mut stream);
  assert!(
    first
      .keys
      .iter()
      .all(|key| key.changed && key.entry_if_changed.is_none())
  );
  session.call("atomic_write", &write(vec![set(b"b", b"1")]));
  let second = next(&mut stream);
  let changed: Vec<_> = second.keys.iter().map(|key| key.changed).collect();
  assert_eq!(changed, [false, true]);
  // A sign of life.
  let mut piece = [0; 64];
  let started = Instant::now();
  let count = stream.read(&mut piece).unwrap();
  assert!(piece[..count].windows(4).any(|window| window == KEEP_ALIVE));
  assert!(started.elapsed() < Duration::from_secs(15));
  server.stop();
  let mut rest = Vec::new();
  stream.read_to_end(&mut rest).unwrap();
  assert!(rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

#[test]
fn no_keys_to_watch_is_no_error() {
  let (_server, session) = started();
  let mut stream = TcpStream::connect(session.addr).unwrap();
  stream
    .set_read_timeout(Some(Duration::from_secs(20)))
    .unwrap();
  stream
    .write_all(&session.request("watch", &[], b""))
    .unwrap();
  let (head, mut buffer) = raw::read_head(&mut stream);
  assert_eq!(head.status, 200);
  let mut frames = FrameReader::default();
  frames.push(&next_chunk(&mut stream, &mut buffer).unwrap());
  assert!(frames.next_frame().unwrap().unwrap().keys.is_empty());
}

#[test]
fn half_sent_requests_hold_nobody_up() {
  let mut limits = ServerLimits::default();
  limits.body_time = Duration::from_secs(4);
  limits.head_time = Duration::from_secs(5);
  let builder = Server::of_database(in_memory(), tokens()).limits(limits);
  let server = TestServer::start(builder);
  let session = Session::open(server.addr, "/", TOKEN);
  let whole = session.request(
    "atomic_write",
    &[],
    &write(vec![set(b"a", b"1")]).encode_to_vec(),
  );
  let mut halves: Vec<_> = (0..50)
    .map(|index| {
      let mut stream = TcpStream::connect(server.addr).unwrap();
      stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
      // Some in the middle of the head, some of the body.
      let end = if index % 2 == 0 { 20 } else { whole.len() - 2 };
      stream.write_all(&whole[..end]).unwrap();
      stream
    })
    .collect();
  let started = Instant::now();
  assert_eq!(value(&session, b"a"), None);
  assert!(started.elapsed() < Duration::from_secs(3));
  // They are given up in time: a late body is told, a late head cut off.
  for (index, stream) in halves.iter_mut().enumerate() {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    assert!(index % 2 == 0 || text.starts_with("HTTP/1.1 408"), "{text}");
  }
}

#[test]
fn requests_over_the_limit_wait_and_are_refused() {
  let mut limits = ServerLimits::default();
  limits.watches_of_token = 1;
  limits.patience = Duration::from_millis(300);
  let builder = Server::of_database(in_memory(), tokens()).limits(limits);
  let server = TestServer::start(builder);
  let session = Session::open(server.addr, "/", TOKEN);
  let mut first = TcpStream::connect(server.addr).unwrap();
  first
    .write_all(&session.request("watch", &[], b""))
    .unwrap();
  raw::read_head(&mut first);
  let started = Instant::now();
  let answer = session.call("watch", &Watch::default());
  assert_eq!(answer.status, 503);
  assert!(started.elapsed() >= Duration::from_millis(290));
  assert!(answer.text().contains("nothing was done"));
  drop(first);
  // The place is free once the server has noticed.
  std::thread::sleep(Duration::from_millis(200));
  let mut second = TcpStream::connect(server.addr).unwrap();
  second
    .set_read_timeout(Some(Duration::from_secs(20)))
    .unwrap();
  second
    .write_all(&session.request("watch", &[], b""))
    .unwrap();
  assert_eq!(raw::read_head(&mut second).0.status, 200);
}

#[test]
fn figures_and_health() {
  let server = TestServer::of(in_memory());
  let session = Session::open(server.addr, "/", TOKEN);
  session.call("atomic_write", &write(vec![set(b"a", b"1")]));
  let runtime = tokio::runtime::Runtime::new().unwrap();
  let listener = runtime
    .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
    .unwrap();
  let admin = listener.local_addr().unwrap();
  let serving = server.server.clone();
  runtime.spawn(async move { serving.serve_admin(listener).await });
  let get = |path: &str| send(admin, &request("GET", path, &[], b""));
  assert_eq!((get("/healthz").status, get("/readyz").status), (200, 200));
  let metrics = get("/metrics").text();
  for line in [
    "kv_requests_total{call=\"atomic_write\",status=\"200\"} 1",
    "kv_request_duration_seconds_count{call=\"atomic_write\"} 1",
    "kv_queue_waiting{database=\"/\"} 0",
    "# EOF",
  ] {
    assert!(metrics.contains(line), "{line}: {metrics}");
  }
  assert_eq!(get("/other").status, 404);
  assert_eq!(
    send(admin, &request("POST", "/metrics", &[], b"")).status,
    405
  );
}
