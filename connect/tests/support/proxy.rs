//! A proxy that loses, delays and repeats requests and answers, under a seed.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A small generator (splitmix64).
#[derive(Clone)]
pub struct Random(Arc<AtomicU64>);

impl Random {
  pub fn new(seed: u64) -> Self {
    Self(Arc::new(AtomicU64::new(seed)))
  }

  pub fn below(&self, end: u64) -> u64 {
    let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % end
  }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
  Pass,
  /// The server does not see it.
  Lose,
  /// The server does it, and its answer is lost.
  LoseAnswer,
  /// The answer breaks off in the middle.
  CutAnswer,
  /// The server gets it twice.
  Repeat,
  Delay,
}

pub struct Proxy {
  pub addr: SocketAddr,
  pub faults: Arc<AtomicU64>,
  stops: Arc<AtomicBool>,
  is_calm: Arc<AtomicBool>,
}

impl Proxy {
  pub fn start(target: SocketAddr, seed: u64) -> Self {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (stops, is_calm) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let faults = Arc::new(AtomicU64::new(0));
    let shared = Shared {
      target,
      random: Random::new(seed),
      faults: faults.clone(),
      is_calm: Arc::clone(&is_calm),
    };
    let ends = stops.clone();
    std::thread::spawn(move || {
      for stream in listener.incoming() {
        if ends.load(Ordering::Relaxed) {
          return;
        }
        let shared = shared.clone();
        std::thread::spawn(move || {
          // Either side may hang up.
          let _ = shared.connection(stream.unwrap());
        });
      }
    });
    Self {
      addr,
      faults,
      stops,
      is_calm,
    }
  }

  pub fn url(&self) -> String {
    format!("http://{}", self.addr)
  }

  /// Lets everything pass from now on.
  pub fn calm_down(&self) {
    self.is_calm.store(true, Ordering::Relaxed);
  }
}

impl Drop for Proxy {
  fn drop(&mut self) {
    self.stops.store(true, Ordering::Relaxed);
    let _ = TcpStream::connect(self.addr);
  }
}

#[derive(Clone)]
struct Shared {
  target: SocketAddr,
  random: Random,
  faults: Arc<AtomicU64>,
  is_calm: Arc<AtomicBool>,
}

impl Shared {
  fn fate(&self) -> Fate {
    if self.is_calm.load(Ordering::Relaxed) {
      return Fate::Pass;
    }
    let fate = match self.random.below(20) {
      0 => Fate::Lose,
      1 => Fate::LoseAnswer,
      2 => Fate::CutAnswer,
      3 | 4 => Fate::Repeat,
      5 => Fate::Delay,
      _ => return Fate::Pass,
    };
    self.faults.fetch_add(1, Ordering::Relaxed);
    fate
  }

  fn connection(&self, mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(request) = read_message(&mut client, &mut buffer)? {
      let head = String::from_utf8_lossy(&request);
      let is_stream = head
        .lines()
        .next()
        .is_some_and(|line| line.contains("/watch"));
      // The metadata exchange is a request like others; a client opens without a second try.
      let is_metadata = head.starts_with("POST / ");
      if is_stream {
        return self.stream(client, &request);
      }
      let fate = if is_metadata { Fate::Pass } else { self.fate() };
      match fate {
        Fate::Lose => return Ok(()),
        Fate::LoseAnswer => {
          self.ask(&request)?;
          return Ok(());
        }
        Fate::CutAnswer => {
          let answer = self.ask(&request)?;
          client.write_all(&answer[..answer.len() - 1])?;
          return Ok(());
        }
        Fate::Repeat => {
          // One after the other, or both at once.
          if self.random.below(2) == 0 {
            self.ask(&request)?;
          } else {
            let (shared, request) = (self.clone(), request.clone());
            std::thread::spawn(move || shared.ask(&request));
          }
        }
        Fate::Delay => std::thread::sleep(Duration::from_millis(self.random.below(40))),
        Fate::Pass => {}
      }
      client.write_all(&self.ask(&request)?)?;
    }
    Ok(())
  }

  fn ask(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(self.target)?;
    server.set_nodelay(true)?;
    server.write_all(request)?;
    let answer = read_message(&mut server, &mut Vec::new())?;
    answer.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
  }

  /// Passes a stream on, for a while.
  fn stream(&self, mut client: TcpStream, request: &[u8]) -> std::io::Result<()> {
    let mut server = TcpStream::connect(self.target)?;
    server.write_all(request)?;
    let patience = Duration::from_millis(20 + self.random.below(400));
    server.set_read_timeout(Some(patience))?;
    let mut piece = [0; 4096];
    loop {
      match server.read(&mut piece) {
        Ok(0) => return Ok(()),
        Ok(count) => client.write_all(&piece[..count])?,
        Err(_) if self.is_calm.load(Ordering::Relaxed) => {}
        // Silent for so long: it breaks.
        Err(_) => return client.shutdown(Shutdown::Both),
      }
    }
  }
}

/// Reads a request or an answer that has a length.
fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Vec<u8>>> {
  loop {
    if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
      let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
      let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse().unwrap());
      let whole = end + 4 + length;
      if buffer.len() >= whole {
        return Ok(Some(buffer.drain(..whole).collect()));
      }
    }
    let mut piece = [0; 65_536];
    match stream.read(&mut piece)? {
      0 => return Ok(None),
      count => buffer.extend(&piece[..count]),
    }
  }
}
