//! HTTP/1.1 by hand: requests that no well-behaved client sends.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use kv_connect::protocol::DatabaseMetadata;
use prost::Message;

/// An answer.
#[derive(Debug)]
pub struct Answer {
  pub status: u16,
  /// In lower case, with the value.
  pub headers: Vec<(String, String)>,
  pub body: Vec<u8>,
}

impl Answer {
  pub fn header(&self, name: &str) -> Option<&str> {
    let header = self.headers.iter().find(|(found, _)| found == name);
    header.map(|(_, value)| value.as_str())
  }

  pub fn text(&self) -> String {
    String::from_utf8_lossy(&self.body).into_owned()
  }

  pub fn message<M: Message + Default>(&self) -> M {
    assert_eq!(self.status, 200, "{}", self.text());
    M::decode(self.body.as_slice()).unwrap()
  }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
  let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
  for (name, value) in headers {
    head += &format!("{name}: {value}\r\n");
  }
  head += &format!("content-length: {}\r\n\r\n", body.len());
  [head.as_bytes(), body].concat()
}

/// Sends a request on a connection of its own.
pub fn send(addr: SocketAddr, bytes: &[u8]) -> Answer {
  let mut stream = TcpStream::connect(addr).unwrap();
  stream
    .set_read_timeout(Some(Duration::from_secs(20)))
    .unwrap();
  // A server that refuses a body before its end hangs up.
  let _ = stream.write_all(bytes);
  read_answer(&mut stream)
}

/// Reads the head of an answer; returns what of the body has come with it.
pub fn read_head(stream: &mut TcpStream) -> (Answer, Vec<u8>) {
  let mut bytes = Vec::new();
  let end = loop {
    if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
      break end;
    }
    let mut piece = [0; 4096];
    let count = stream.read(&mut piece).unwrap();
    assert!(
      count > 0,
      "no answer: {:?}",
      String::from_utf8_lossy(&bytes)
    );
    bytes.extend(&piece[..count]);
  };
  let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
  let mut lines = head.lines();
  let status = lines.next().unwrap().split(' ').nth(1).unwrap();
  let headers = lines.map(|line| {
    let (name, value) = line.split_once(": ").unwrap();
    (name.to_lowercase(), value.to_owned())
  });
  let answer = Answer {
    status: status.parse().unwrap(),
    headers: headers.collect(),
    body: Vec::new(),
  };
  (answer, bytes[end + 4..].to_vec())
}

pub fn read_answer(stream: &mut TcpStream) -> Answer {
  let (mut answer, mut body) = read_head(stream);
  let length: usize = answer
    .header("content-length")
    .map_or(0, |length| length.parse().unwrap());
  while body.len() < length {
    let mut piece = [0; 4096];
    let count = stream.read(&mut piece).unwrap();
    assert!(count > 0, "the body broke off");
    body.extend(&piece[..count]);
  }
  answer.body = body;
  answer
}

pub fn metadata_request(path: &str, token: &str, body: &str) -> Vec<u8> {
  let authorization = format!("Bearer {token}");
  let headers = [
    ("authorization", authorization.as_str()),
    ("x-kv-extensions", "queue/1, idempotency/1"),
  ];
  request("POST", path, &headers, body.as_bytes())
}

pub const ALL_VERSIONS: &str = r#"{"supportedVersions":[1,2,3]}"#;

/// A database of a server, after the metadata exchange.
pub struct Session {
  pub addr: SocketAddr,
  pub metadata: DatabaseMetadata,
}

impl Session {
  pub fn open(addr: SocketAddr, path: &str, token: &str) -> Self {
    let answer = send(addr, &metadata_request(path, token, ALL_VERSIONS));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let base = format!("http://{addr}{path}").parse().unwrap();
    let metadata = DatabaseMetadata::from_json(&answer.body, &base).unwrap();
    Self { addr, metadata }
  }

  /// A request of the data path, with other headers in place of the usual ones.
  pub fn request(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let url = &self.metadata.endpoints[0].url;
    let path = url.splitn(4, '/').nth(3).unwrap();
    let authorization = format!("Bearer {}", self.metadata.token);
    let id = self.metadata.database_id.to_string();
    let usual = [
      ("authorization", authorization.as_str()),
      ("x-denokv-version", "3"),
      ("x-denokv-database-id", &id),
    ];
    let mut all: Vec<(&str, &str)> = usual
      .into_iter()
      .filter(|(name, _)| !headers.iter().any(|(other, _)| other == name))
      .collect();
    all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
    request("POST", &format!("/{path}/{method}"), &all, body)
  }

  pub fn call(&self, method: &str, message: &impl Message) -> Answer {
    self.call_with(method, &[], message)
  }

  pub fn call_with(
    &self,
    method: &str,
    headers: &[(&str, &str)],
    message: &impl Message,
  ) -> Answer {
    let body = message.encode_to_vec();
    send(self.addr, &self.request(method, headers, &body))
  }
}
