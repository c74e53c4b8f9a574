//! Servers of others: of version 1, with answers that are wrong, and with several endpoints.

#![allow(
  clippy::expect_used,
  clippy::panic,
  clippy::unwrap_used,
  reason = "a test fails by panicking"
)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kv_connect::client::ClientOptions;
use kv_connect::protocol::messages::{
  AtomicWriteOutput, AtomicWriteStatus, ReadRangeOutput, SnapshotReadOutput, SnapshotReadStatus,
};
use kv_store::Value;
use kv_store::engine::{
  AtomicWrite, Backend, CommitOutcome, Consistency, Entries, ErrorKind, Mutation, MutationKind,
  ReadOptions, ReadRange, StoreError,
};
use prost::Message;
use support::{TOKEN, connect_with};

/// A request, in parts: the path, the head in lower case, and the body.
struct Asked {
  path: String,
  head: String,
}

type Answers = dyn Fn(&Asked) -> (u16, Vec<(&'static str, String)>, Vec<u8>) + Send + Sync;

/// A server that answers as a test says.
struct Fake {
  addr: SocketAddr,
  asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
  fn start(
    answers: impl Fn(&Asked) -> (u16, Vec<(&'static str, String)>, Vec<u8>) + Send + Sync + 'static,
  ) -> Self {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, answers): (_, Arc<Answers>) = (asked.clone(), Arc::new(answers));
    std::thread::spawn(move || {
      for stream in listener.incoming() {
        let (log, answers) = (log.clone(), answers.clone());
        std::thread::spawn(move || serve(stream.unwrap(), &log, &*answers));
      }
    });
    Self { addr, asked }
  }

  fn url(&self, path: &str) -> String {
    format!("http://{}{path}", self.addr)
  }

  fn count(&self, path: &str) -> usize {
    let asked = self.asked.lock().unwrap();
    asked.iter().filter(|asked| *asked == path).count()
  }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>, answers: &Answers) {
  let mut bytes = Vec::new();
  loop {
    let mut piece = [0; 4096];
    match stream.read(&mut piece) {
      Ok(count) if count > 0 => bytes.extend(&piece[..count]),
      _ => return,
    }
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
      continue;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head
      .lines()
      .find_map(|line| line.strip_prefix("content-length: "));
    let whole = end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap());
    if bytes.len() < whole {
      continue;
    }
    bytes.drain(..whole);
    let path = head.split(' ').nth(1).unwrap().to_owned();
    log.lock().unwrap().push(path.clone());
    let (status, headers, body) = answers(&Asked { path, head });
    let mut answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
      answer += &format!("{name}: {value}\r\n");
    }
    let answer = [answer.as_bytes(), b"\r\n", &body].concat();
    if stream.write_all(&answer).is_err() {
      return;
    }
  }
}

fn metadata(version: u32, endpoints: &str, token: &str, expires_at: &str) -> Vec<u8> {
  format!(
    r#"{{"version":{version},"databaseId":"11111111-2222-3333-4444-555555555555","endpoints":{endpoints},"token":"{token}","expiresAt":"{expires_at}"}}"#
  )
  .into_bytes()
}

const STRONG: &str = r#"[{"url":"/data","consistency":"strong"}]"#;
const LATE: &str = "2090-01-01T00:00:00Z";

fn ok(body: Vec<u8>) -> (u16, Vec<(&'static str, String)>, Vec<u8>) {
  (200, Vec::new(), body)
}

fn nothing_found() -> Vec<u8> {
  SnapshotReadOutput {
    ranges: vec![ReadRangeOutput::default()],
    read_is_strongly_consistent: true,
    status: SnapshotReadStatus::Success.into(),
    ..SnapshotReadOutput::default()
  }
  .encode_to_vec()
}

fn committed() -> Vec<u8> {
  AtomicWriteOutput {
    status: AtomicWriteStatus::Success.into(),
    versionstamp: vec![0; 10],
    ..AtomicWriteOutput::default()
  }
  .encode_to_vec()
}

fn open(url: &str) -> Result<Arc<dyn Backend>, StoreError> {
  let options = ClientOptions::default()
    .token(TOKEN)
    .deadline(Duration::from_secs(2));
  connect_with(url, options)
}

fn get_with(store: &Arc<dyn Backend>, options: ReadOptions) -> Result<Vec<Entries>, StoreError> {
  let point = ReadRange::point(b"\x02a\0".to_vec());
  store.snapshot_read(vec![point], options).wait_blocking()
}

fn get(store: &Arc<dyn Backend>) -> Result<Vec<Entries>, StoreError> {
  get_with(store, ReadOptions::default())
}

fn set(store: &Arc<dyn Backend>) -> Result<CommitOutcome, StoreError> {
  mutate(store, MutationKind::Set(Value::U64(1)))
}

fn add(store: &Arc<dyn Backend>) -> Result<CommitOutcome, StoreError> {
  mutate(store, MutationKind::Sum(Value::U64(1)))
}

fn mutate(store: &Arc<dyn Backend>, kind: MutationKind) -> Result<CommitOutcome, StoreError> {
  let mutation = Mutation {
    key: b"\x02a\0".to_vec(),
    kind,
    expire_at: None,
  };
  let write = AtomicWrite {
    mutations: vec![mutation],
    ..AtomicWrite::default()
  };
  store.atomic_write(write).wait_blocking()
}

#[test]
fn version_1_has_headers_and_urls_of_its_own() {
  let port = Arc::new(Mutex::new(String::new()));
  let address = port.clone();
  let server = Fake::start(move |asked| match asked.path.as_str() {
    "/" => {
      let url = format!("http://{}/data", address.lock().unwrap());
      let endpoints = format!(r#"[{{"url":"{url}","consistency":"strong"}}]"#);
      ok(metadata(1, &endpoints, "data-token", LATE))
    }
    path => {
      let id = "x-transaction-domain-id: 11111111-2222-3333-4444-555555555555";
      let has = |line: &str| asked.head.contains(line);
      assert!(
        has(id) && has("authorization: bearer data-token"),
        "{}",
        asked.head
      );
      assert!(!has("x-denokv-version") && !has("x-kv-write-id"));
      match path {
        "/data/snapshot_read" => ok(nothing_found()),
        _ => ok(committed()),
      }
    }
  });
  *port.lock().unwrap() = server.addr.to_string();
  let store = open(&server.url("/")).unwrap();
  assert!(matches!(set(&store).unwrap(), CommitOutcome::Committed(_)));
  assert!(get(&store).unwrap()[0].is_empty());
  assert_eq!(
    store.watch(vec![]).err().unwrap().kind(),
    ErrorKind::Unsupported
  );
}

#[test]
fn invalid_metadata_fail_opening() {
  let server = Fake::start(|asked| match asked.path.as_str() {
    "/format" => ok(br#"{"version":1,"databaseId":"x"}"#.to_vec()),
    "/version" => ok(metadata(1000, STRONG, "t", LATE)),
    _ => ok(metadata(
      3,
      r#"[{"url":"/data/","consistency":"strong"}]"#,
      "t",
      LATE,
    )),
  });
  for (path, text) in [
    ("/format", "Failed to parse metadata of"),
    ("/version", "unsupported KV Connect metadata version 1000"),
    ("/slash", "endpoint URL must not end with '/'"),
  ] {
    let error = open(&server.url(path)).err().unwrap();
    assert!(
      error
        .to_string()
        .starts_with("Could not open Deno KV database: ")
    );
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(error.kind(), ErrorKind::Refused);
  }
}

#[test]
fn errors_of_opening_say_where_and_why() {
  let server = Fake::start(|asked| match asked.path.as_str() {
    "/401" => (401, vec![], b"Invalid access token.".to_vec()),
    "/500" => (500, vec![], b"down".to_vec()),
    "/loop" => (307, vec![("location", "/loop".into())], vec![]),
    "/nowhere" => (302, vec![], vec![]),
    _ => (302, vec![("location", "ftp://elsewhere/".into())], vec![]),
  });
  for (path, kind, text) in [
    (
      "/401",
      ErrorKind::Unauthorized,
      "responded with status 401 Unauthorized: Invalid access token.",
    ),
    (
      "/500",
      ErrorKind::Unavailable,
      "responded with status 500 Internal Server Error: down",
    ),
    ("/loop", ErrorKind::Refused, "redirects more than 10 times"),
    ("/nowhere", ErrorKind::Refused, "redirects to nowhere"),
    ("/ftp", ErrorKind::Refused, "redirects to ftp://elsewhere/"),
  ] {
    let error = open(&server.url(path)).err().unwrap();
    let message = error.to_string();
    assert!(
      message.starts_with("Could not open Deno KV database: "),
      "{message}"
    );
    assert!(message.contains(text), "{message}");
    assert_eq!(error.kind(), kind);
    assert!(!message.contains(TOKEN));
  }
}

#[test]
fn redirects_are_followed_and_become_the_base() {
  let server = Fake::start(|asked| match asked.path.as_str() {
    "/" => (307, vec![("location", "/there/db".into())], vec![]),
    "/there/db" => ok(metadata(
      3,
      r#"[{"url":"./data","consistency":"strong"}]"#,
      "t",
      LATE,
    )),
    "/there/data/snapshot_read" => ok(nothing_found()),
    other => panic!("{other}"),
  });
  let store = open(&server.url("/")).unwrap();
  assert!(get(&store).unwrap()[0].is_empty());
}

#[test]
fn rejected_token_is_refreshed_at_once() {
  let number = Arc::new(Mutex::new(0));
  let server = Fake::start(move |asked| match asked.path.as_str() {
    "/" => {
      let mut number = number.lock().unwrap();
      *number += 1;
      ok(metadata(3, STRONG, &format!("token-{number}"), LATE))
    }
    _ if asked.head.contains("bearer token-1") => (401, vec![], b"expired".to_vec()),
    _ => ok(nothing_found()),
  });
  let store = open(&server.url("/")).unwrap();
  assert!(get(&store).is_ok() && get(&store).is_ok());
  assert_eq!(server.count("/"), 2);
}

#[test]
fn metadata_are_refreshed_before_they_end() {
  let server = Fake::start(|asked| match asked.path.as_str() {
    "/" => {
      let soon = time::OffsetDateTime::now_utc() + Duration::from_millis(2_500);
      let format = &time::format_description::well_known::Rfc3339;
      ok(metadata(3, STRONG, "t", &soon.format(format).unwrap()))
    }
    _ => ok(nothing_found()),
  });
  let store = open(&server.url("/")).unwrap();
  get(&store).unwrap();
  assert_eq!(server.count("/"), 1);
  std::thread::sleep(Duration::from_millis(2_200));
  get(&store).unwrap();
  // In the background, unless the token has ended on a slow machine.
  for _ in 0..100 {
    if server.count("/") > 1 {
      return;
    }
    std::thread::sleep(Duration::from_millis(50));
  }
  panic!("the metadata were not refreshed");
}

#[test]
fn busy_server_is_asked_again() {
  let left = Arc::new(Mutex::new(3));
  let refill = left.clone();
  let server = Fake::start(move |asked| match asked.path.as_str() {
    "/" => ok(metadata(3, STRONG, "t", LATE)),
    path => {
      let mut left = left.lock().unwrap();
      if *left > 0 {
        *left -= 1;
        return (503, vec![], b"busy".to_vec());
      }
      match path {
        "/data/snapshot_read" => ok(nothing_found()),
        _ => ok(committed()),
      }
    }
  });
  let store = open(&server.url("/")).unwrap();
  assert!(get(&store).is_ok());
  assert_eq!(server.count("/data/snapshot_read"), 4);
  *refill.lock().unwrap() = 3;
  assert!(set(&store).is_ok());
  assert_eq!(server.count("/data/atomic_write"), 4);
  // A sum may have been done before a proxy said so: this server knows no ids.
  *refill.lock().unwrap() = 1;
  assert_eq!(add(&store).unwrap_err().kind(), ErrorKind::UnknownOutcome);
  assert_eq!(server.count("/data/atomic_write"), 5);
}

#[test]
fn refusals_are_not_repeated_and_are_deno_s() {
  let server = Fake::start(|asked| match asked.path.as_str() {
    "/" => ok(metadata(3, STRONG, "t", LATE)),
    "/data/snapshot_read" => (400, vec![], b"no such thing".to_vec()),
    _ => (
      400,
      vec![("x-kv-error-kind", "type-mismatch".into())],
      b"Failed to perform 'sum' mutation on a non-U64 value in the database".to_vec(),
    ),
  });
  let store = open(&server.url("/")).unwrap();
  let error = get(&store).unwrap_err();
  let url = server.url("/data/snapshot_read");
  assert_eq!(
    error.to_string(),
    format!("KV Connect failed to call '{url}' (status=400 Bad Request): no such thing")
  );
  assert_eq!(server.count("/data/snapshot_read"), 1);
  let error = set(&store).unwrap_err();
  assert_eq!(error.kind(), ErrorKind::TypeMismatch);
  assert!(error.to_string().starts_with("Failed to perform 'sum'"));
}

#[test]
fn eventual_reads_go_to_the_nearest_endpoint() {
  let endpoints = r#"[{"url":"/strong","consistency":"strong"},{"url":"/far","consistency":"eventual"},{"url":"/near","consistency":"eventual"}]"#;
  let server = Fake::start(move |asked| {
    match asked.path.as_str() {
      "/" => return ok(metadata(3, endpoints, "t", LATE)),
      "/strong/snapshot_read" => std::thread::sleep(Duration::from_millis(30)),
      "/far/snapshot_read" => std::thread::sleep(Duration::from_millis(60)),
      _ => {}
    }
    ok(nothing_found())
  });
  let store = open(&server.url("/")).unwrap();
  let eventual = ReadOptions::default().consistency(Consistency::Eventual);
  for _ in 0..20 {
    get_with(&store, eventual).unwrap();
  }
  assert!(server.count("/near/snapshot_read") >= 10);
  for _ in 0..5 {
    get(&store).unwrap();
  }
  assert!(server.count("/strong/snapshot_read") >= 5);
}

#[test]
fn answers_that_were_not_asked_for_are_refused() {
  use kv_connect::protocol::messages::{KvEntry, ValueEncoding};
  let entry = |key: &[u8], versionstamp: usize| KvEntry {
    key: key.to_vec(),
    value: vec![1],
    encoding: ValueEncoding::Bytes.into(),
    versionstamp: vec![0; versionstamp],
  };
  let answers = [
    vec![],
    vec![vec![entry(b"\x02b\0", 10)]],
    vec![vec![entry(b"\x02a\0", 9)]],
    vec![vec![entry(b"\x02a\0", 10), entry(b"\x02a\0", 10)]],
    vec![vec![], vec![]],
  ];
  for ranges in answers {
    let output = SnapshotReadOutput {
      ranges: ranges
        .into_iter()
        .map(|values| ReadRangeOutput { values })
        .collect(),
      read_is_strongly_consistent: true,
      status: SnapshotReadStatus::Success.into(),
      ..SnapshotReadOutput::default()
    };
    let bytes = output.encode_to_vec();
    let server = Fake::start(move |asked| match asked.path.as_str() {
      "/" => ok(metadata(3, STRONG, "t", LATE)),
      _ => ok(bytes.clone()),
    });
    let store = open(&server.url("/")).unwrap();
    let error = get(&store).unwrap_err();
    assert!(
      error.to_string().contains("failed to decode response"),
      "{error}"
    );
  }
}

#[test]
fn hook_sees_every_url() {
  let server = Fake::start(|asked| match asked.path.as_str() {
    "/" => ok(metadata(3, STRONG, "t", LATE)),
    _ => ok(nothing_found()),
  });
  let seen = Arc::new(Mutex::new(Vec::new()));
  let log = seen.clone();
  let options = ClientOptions::default().token(TOKEN).url_hook(move |url| {
    log.lock().unwrap().push(url.path().to_owned());
    match url.path() {
      "/data/atomic_write" => Err(StoreError::new(ErrorKind::Unauthorized, "not allowed")),
      _ => Ok(()),
    }
  });
  let store = connect_with(&server.url("/"), options).unwrap();
  get(&store).unwrap();
  assert_eq!(set(&store).unwrap_err().to_string(), "not allowed");
  assert_eq!(
    *seen.lock().unwrap(),
    ["/", "/data/snapshot_read", "/data/atomic_write"]
  );
  assert_eq!(server.count("/data/atomic_write"), 0);
}

/// A transport without a network.
struct InProcess;

impl kv_connect::client::Transport for InProcess {
  fn send(
    &self,
    request: http::Request<bytes::Bytes>,
  ) -> futures::future::BoxFuture<
    'static,
    Result<http::Response<kv_connect::client::BodyStream>, kv_connect::client::TransportError>,
  > {
    use futures::StreamExt;
    assert_eq!(request.uri().host(), Some("nowhere.invalid"));
    let body = match request.uri().path() {
      "/" => metadata(3, STRONG, "t", LATE),
      "/data/atomic_write" => committed(),
      _ => nothing_found(),
    };
    Box::pin(async move {
      let body = futures::stream::iter([Ok(bytes::Bytes::from(body))]).boxed();
      Ok(http::Response::new(body))
    })
  }
}

#[test]
fn transport_of_the_embedder() {
  let options = ClientOptions::default()
    .token(TOKEN)
    .transport(Arc::new(InProcess));
  let store = connect_with("https://nowhere.invalid", options).unwrap();
  assert!(matches!(set(&store).unwrap(), CommitOutcome::Committed(_)));
  assert!(get(&store).unwrap()[0].is_empty());
}

#[test]
fn each_url_has_its_token() {
  let server = Fake::start(|asked| {
    let name = asked.path.trim_start_matches('/').to_owned();
    let has_its_own = asked.head.contains(&format!("bearer token-of-{name}"));
    match has_its_own {
      true => ok(metadata(3, STRONG, "t", LATE)),
      false => (401, vec![], vec![]),
    }
  });
  let options = ClientOptions::default().token_for(|url| match url.path() {
    "/none" => None,
    path => Some(format!("token-of-{}", path.trim_start_matches('/'))),
  });
  for path in ["/a", "/b"] {
    assert!(connect_with(&server.url(path), options.clone()).is_ok());
  }
  let error = connect_with(&server.url("/none"), options).err().unwrap();
  assert!(
    error
      .to_string()
      .starts_with("Missing DENO_KV_ACCESS_TOKEN"),
    "{error}"
  );
}

/// A server that knows ids, until its answers are lost.
#[test]
fn write_in_doubt_is_not_repeated_without_its_id() {
  for second in ["without", "other", "404"] {
    let asked_before = Arc::new(Mutex::new(0));
    let server = Fake::start(move |asked| match asked.path.as_str() {
      "/" => {
        let is_first = *asked_before.lock().unwrap() == 0;
        let mut body = metadata(3, STRONG, "t", LATE);
        let mut headers = vec![("x-kv-extensions", "idempotency/1".to_owned())];
        if !is_first && second == "without" {
          headers.clear();
        }
        if !is_first && second == "other" {
          let text = String::from_utf8(body).unwrap();
          body = text.replace("11111111", "99999999").into_bytes();
        }
        (200, headers, body)
      }
      _ => {
        assert!(asked.head.contains("x-kv-write-id"));
        let mut count = asked_before.lock().unwrap();
        *count += 1;
        match *count {
          // May have been done.
          1 => (502, vec![], vec![]),
          2 if second == "404" => (404, vec![], vec![]),
          2 => (401, vec![], vec![]),
          _ => ok(committed()),
        }
      }
    });
    let store = open(&server.url("/")).unwrap();
    let error = add(&store).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{second}: {error}");
    assert_eq!(server.count("/data/atomic_write"), 2, "{second}");
  }
}

#[test]
fn answer_to_a_write_that_makes_no_sense_is_an_unknown_outcome() {
  for answer in [b"\xff\xff".to_vec(), b"\x08\x01\x12\x03abc".to_vec()] {
    let server = Fake::start(move |asked| match asked.path.as_str() {
      "/" => ok(metadata(3, STRONG, "t", LATE)),
      _ => ok(answer.clone()),
    });
    let store = open(&server.url("/")).unwrap();
    assert_eq!(add(&store).unwrap_err().kind(), ErrorKind::UnknownOutcome);
  }
}

#[test]
fn silent_metadata_hold_nobody_up_while_the_token_is_good() {
  let is_silent = Arc::new(Mutex::new(false));
  let silence = is_silent.clone();
  let server = Fake::start(move |asked| match asked.path.as_str() {
    "/" => {
      if *is_silent.lock().unwrap() {
        std::thread::sleep(Duration::from_secs(5));
      }
      let soon = time::OffsetDateTime::now_utc() + Duration::from_secs(4);
      let format = &time::format_description::well_known::Rfc3339;
      ok(metadata(3, STRONG, "t", &soon.format(format).unwrap()))
    }
    _ => ok(nothing_found()),
  });
  let store = open(&server.url("/")).unwrap();
  *silence.lock().unwrap() = true;
  // Due to be refreshed.
  std::thread::sleep(Duration::from_millis(3_300));
  let started = std::time::Instant::now();
  get(&store).unwrap();
  assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn dead_endpoint_is_left_alone() {
  let endpoints =
    r#"[{"url":"/strong","consistency":"strong"},{"url":"/dead","consistency":"eventual"}]"#;
  let server = Fake::start(move |asked| match asked.path.as_str() {
    "/" => ok(metadata(3, endpoints, "t", LATE)),
    "/dead/snapshot_read" => (500, vec![], vec![]),
    _ => ok(nothing_found()),
  });
  let store = open(&server.url("/")).unwrap();
  let eventual = ReadOptions::default().consistency(Consistency::Eventual);
  for _ in 0..40 {
    get_with(&store, eventual).unwrap();
  }
  assert!(server.count("/dead/snapshot_read") <= 4);
}

#[test]
fn answers_larger_than_what_was_asked_for_are_refused() {
  for body in [b"\x0a\x00".repeat(2_000_000), vec![0x0a; 80 << 20]] {
    let server = Fake::start(move |asked| match asked.path.as_str() {
      "/" => ok(metadata(3, STRONG, "t", LATE)),
      _ => ok(body.clone()),
    });
    let store = open(&server.url("/")).unwrap();
    assert!(get(&store).is_err());
  }
}

#[test]
fn token_goes_to_no_other_host() {
  let other = Fake::start(|_| ok(metadata(3, STRONG, "t", LATE)));
  let elsewhere = other.url("/").replace("127.0.0.1", "localhost");
  let server = Fake::start(move |_| (302, vec![("location", elsewhere.clone())], vec![]));
  let error = open(&server.url("/")).err().unwrap();
  assert!(
    error
      .to_string()
      .contains("the access token is not sent there"),
    "{error}"
  );
  assert_eq!(other.count("/"), 0);
  let error = open("http://user:secret@127.0.0.1:1/").err().unwrap();
  assert!(!error.to_string().contains("secret"), "{error}");
}
