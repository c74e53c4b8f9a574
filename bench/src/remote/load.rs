//! A load generator: connections that each send a request, wait for the answer, and send the next.

use std::io::{Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::servers::Server;

/// How long a load lasts.
const SPAN: Duration = Duration::from_secs(3);

/// What the connections ask for.
#[derive(Clone, Copy, Debug)]
pub enum Request {
  Get,
  Set,
}

impl Request {
  pub fn name(self) -> &'static str {
    match self {
      Self::Get => "`get`",
      Self::Set => "durable `set`",
    }
  }

  /// The whole request. Key `["k", <connection>]`, by hand: a string and a string of digits.
  fn bytes(self, path: &str, headers: &str, connection: usize) -> Vec<u8> {
    let key = format!("\u{2}k\0\u{2}{connection:04}\0").into_bytes();
    let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let (method, body) = match self {
      Self::Get => {
        let end = [&key[..], &[0]].concat();
        let range = [field(0x0a, &key), field(0x12, &end), vec![0x18, 1]].concat();
        ("snapshot_read", field(0x0a, &range))
      }
      Self::Set => {
        // The clone of a string of 50 characters.
        let clone = [&b"\xff\x0f\"\x32"[..], &[b'x'; 50]].concat();
        let value = [field(0x0a, &clone), vec![0x10, 1]].concat();
        let mutation = [field(0x0a, &key), field(0x12, &value), vec![0x18, 1]].concat();
        ("atomic_write", field(0x12, &mutation))
      }
    };
    let head = format!(
      "POST {path}/{method} HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n",
      body.len()
    );
    [head.as_bytes(), &body].concat()
  }
}

/// How many requests a second so many connections get answered.
pub fn requests_each_second(server: &Server, request: Request, connections: usize) -> Result<f64> {
  let (path, headers) = server.session()?;
  let runtime = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  runtime.block_on(async {
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
      // There is something to get.
      let set = Request::Set.bytes(&path, &headers, connection);
      let bytes = request.bytes(&path, &headers, connection);
      let port = server.port();
      tasks.spawn(async move {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        exchange(&mut stream, &set).await?;
        let (mut count, end) = (0_u64, Instant::now() + SPAN);
        while Instant::now() < end {
          exchange(&mut stream, &bytes).await?;
          count += 1;
        }
        Ok::<_, anyhow::Error>(count)
      });
    }
    let mut total = 0;
    while let Some(count) = tasks.join_next().await {
      total += count??;
    }
    Ok(total as f64 / SPAN.as_secs_f64())
  })
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<()> {
  stream.write_all(request).await?;
  let mut bytes = Vec::with_capacity(1024);
  loop {
    if stream.read_buf(&mut bytes).await? == 0 {
      bail!("the server has hung up");
    }
    if let Some(whole) = length(&bytes)
      && bytes.len() >= whole
    {
      break;
    }
  }
  if !bytes.starts_with(b"HTTP/1.1 200") {
    bail!("{}", String::from_utf8_lossy(&bytes));
  }
  Ok(())
}

/// The length of a whole answer, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
  let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
  let head = std::str::from_utf8(&bytes[..end]).ok()?;
  let length = head.lines().find_map(|line| {
    let (name, value) = line.split_once(':')?;
    name
      .eq_ignore_ascii_case("content-length")
      .then(|| value.trim())
  })?;
  Some(end + 4 + length.parse::<usize>().ok()?)
}

/// Opens so many watches of one key, each on a connection of its own.
pub fn watch(server: &Server, count: usize) -> Result<Vec<StdStream>> {
  let (path, headers) = server.session()?;
  let body = b"\x0a\x05\x0a\x03\x02w\0";
  let request = format!(
    "POST {path}/watch HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n",
    body.len()
  );
  let request = [request.as_bytes(), body].concat();
  let streams = (0..count).map(|_| {
    let mut stream = StdStream::connect(("127.0.0.1", server.port()))?;
    stream.write_all(&request)?;
    let mut first = [0; 512];
    let read = stream.read(&mut first)?;
    if !first[..read].starts_with(b"HTTP/1.1 200") {
      bail!("{}", String::from_utf8_lossy(&first[..read]));
    }
    Ok(stream)
  });
  streams.collect()
}

/// A server that does nothing but answer with constant bytes, on a thread for each connection.
pub struct Echo {
  port: u16,
}

impl Echo {
  pub fn start() -> Result<Self> {
    let listener = StdListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
      for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
          // The client hangs up in the end.
          let _ = answer(stream);
        });
      }
    });
    Ok(Self { port })
  }

  pub fn url(&self) -> String {
    format!("http://127.0.0.1:{}", self.port)
  }
}

fn answer(mut stream: StdStream) -> Result<()> {
  stream.set_nodelay(true)?;
  let mut bytes = Vec::new();
  loop {
    let mut piece = [0; 4096];
    let count = stream.read(&mut piece)?;
    if count == 0 {
      return Ok(());
    }
    bytes.extend(&piece[..count]);
    let Some(whole) = length(&bytes).filter(|whole| bytes.len() >= *whole) else {
      continue;
    };
    let is_metadata = bytes.starts_with(b"POST / ");
    bytes.drain(..whole);
    let (kind, body): (_, &[u8]) = match is_metadata {
      true => (
        "application/json",
        br#"{"version":3,"databaseId":"00000000-0000-0000-0000-000000000000","endpoints":[{"url":"/v3","consistency":"strong"}],"token":"t","expiresAt":"2090-01-01T00:00:00Z"}"#,
      ),
      // The entry of ["ten", 1], with the value 1.
      false => (
        "application/x-protobuf",
        b"\x0a\x26\x0a\x24\x0a\x0e\x02ten\0\x21\xbf\xf0\0\0\0\0\0\0\x12\x04\xff\x0f\x49\x02\x18\x01\x22\x0a\0\0\0\0\0\0\0\x01\0\0\x20\x01\x40\x01",
      ),
    };
    let head = format!(
      "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
      body.len()
    );
    let answer = [head.as_bytes(), body].concat();
    stream.write_all(&answer).context("echo")?;
  }
}
