//! How much of a token's work goes on at a time, and how often an address may show wrong access tokens.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ServerLimits;
use super::tokens::TokenId;

/// Addresses that are remembered at most. Beyond, all that are not remembered count as one.
const ADDRESSES: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// Bytes of bodies that a token's clients send at the same time.
const BODY_BYTES: usize = 16 << 20;
/// Bytes of writes that wait to be committed, of all tokens: less than the store takes before it holds its caller up.
const WRITE_BYTES: usize = 48 << 20;
/// Answers of over [`LARGE`] bytes that a token's clients have not taken yet.
const LARGE_ANSWERS: usize = 4;
/// An answer of more bytes is a large one.
pub(super) const LARGE: usize = 1 << 20;
/// Bytes are counted in pieces of so many.
const PIECE: usize = 1 << 10;

/// Lets requests through, or has them wait.
#[derive(Debug)]
pub(super) struct Gates {
  requests: usize,
  watches: usize,
  patience: Duration,
  write_bytes: Arc<Semaphore>,
  by_token: Mutex<HashMap<TokenId, Gate>>,
  wrong_tokens: u32,
  wrong: Mutex<WrongTokens>,
}

/// What there is room for of a token.
#[derive(Clone, Debug)]
pub(super) struct Gate {
  patience: Duration,
  requests: Arc<Semaphore>,
  watches: Arc<Semaphore>,
  body_bytes: Arc<Semaphore>,
  large_answers: Arc<Semaphore>,
}

#[derive(Debug)]
struct WrongTokens {
  /// When the minute began that is counted.
  since: Instant,
  by_address: HashMap<IpAddr, u32>,
  others: u32,
}

/// A request at work.
#[must_use]
pub(super) struct Permit(#[allow(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

async fn enter(semaphore: &Arc<Semaphore>, count: usize, patience: Duration) -> Option<Permit> {
  let count = u32::try_from(count).unwrap_or(u32::MAX);
  if let Ok(permit) = semaphore.clone().try_acquire_many_owned(count) {
    return Some(Permit(permit));
  }
  let permit = semaphore.clone().acquire_many_owned(count);
  let permit = tokio::time::timeout(patience, permit).await;
  permit.ok()?.ok().map(Permit)
}

impl Gate {
  /// Waits until there is room for one more request. `None`: there was none in time.
  pub(super) async fn request(&self) -> Option<Permit> {
    enter(&self.requests, 1, self.patience).await
  }

  /// The same for a watch, or a wait for messages.
  pub(super) async fn watch(&self) -> Option<Permit> {
    enter(&self.watches, 1, self.patience).await
  }

  /// The same for a body of so many bytes.
  pub(super) async fn bytes(&self, bytes: usize) -> Option<Permit> {
    enter(&self.body_bytes, bytes.div_ceil(PIECE), self.patience).await
  }

  /// The same for an answer that may be large.
  pub(super) async fn large_answer(&self) -> Option<Permit> {
    enter(&self.large_answers, 1, self.patience).await
  }
}

impl Gates {
  pub(super) fn new(limits: &ServerLimits) -> Self {
    Self {
      requests: limits.requests_of_token.min(Semaphore::MAX_PERMITS),
      watches: limits.watches_of_token.min(Semaphore::MAX_PERMITS),
      patience: limits.patience,
      write_bytes: Arc::new(Semaphore::new(WRITE_BYTES / PIECE)),
      by_token: Mutex::default(),
      wrong_tokens: limits.wrong_tokens,
      wrong: Mutex::new(WrongTokens {
        since: Instant::now(),
        by_address: HashMap::new(),
        others: 0,
      }),
    }
  }

  pub(super) fn gate(&self, token: TokenId) -> Gate {
    let mut gates = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
    let gate = gates.entry(token).or_insert_with(|| Gate {
      patience: self.patience,
      requests: Arc::new(Semaphore::new(self.requests)),
      watches: Arc::new(Semaphore::new(self.watches)),
      body_bytes: Arc::new(Semaphore::new(BODY_BYTES / PIECE)),
      large_answers: Arc::new(Semaphore::new(LARGE_ANSWERS)),
    });
    gate.clone()
  }

  /// Waits until there is room for a write of so many bytes.
  pub(super) async fn write(&self, bytes: usize) -> Option<Permit> {
    enter(&self.write_bytes, bytes.div_ceil(PIECE), self.patience).await
  }

  /// Whether an address has shown so many wrong access tokens that it has to wait.
  pub(super) fn is_shut_to(&self, address: IpAddr) -> bool {
    let wrong = self.wrong_tokens_of_this_minute();
    let count = match wrong.by_address.get(&network(address)) {
      Some(count) => *count,
      None if wrong.by_address.len() >= ADDRESSES => wrong.others,
      None => 0,
    };
    count >= self.wrong_tokens
  }

  /// An address has shown a wrong access token.
  pub(super) fn note_wrong_token(&self, address: IpAddr) {
    let mut wrong = self.wrong_tokens_of_this_minute();
    let address = network(address);
    let is_full = wrong.by_address.len() >= ADDRESSES && !wrong.by_address.contains_key(&address);
    match is_full {
      true => wrong.others += 1,
      false => *wrong.by_address.entry(address).or_default() += 1,
    }
  }

  fn wrong_tokens_of_this_minute(&self) -> MutexGuard<'_, WrongTokens> {
    let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if now.duration_since(wrong.since) >= MINUTE {
      wrong.since = now;
      wrong.by_address.clear();
      wrong.others = 0;
    }
    wrong
  }
}

/// Of IPv6, one subscriber usually has 2^64 addresses.
fn network(address: IpAddr) -> IpAddr {
  match address {
    IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
      let network = address.to_bits() >> 64 << 64;
      IpAddr::V6(Ipv6Addr::from_bits(network))
    }
    address => address.to_canonical(),
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn wrong_tokens_are_counted_by_network() {
    let gates = Gates::new(&ServerLimits::default());
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    for index in 0..30 {
      assert!(!gates.is_shut_to(address("2001:db8::1")));
      gates.note_wrong_token(address(&format!("2001:db8::{index}")));
    }
    assert!(gates.is_shut_to(address("2001:db8::ffff")));
    assert!(!gates.is_shut_to(address("2001:db8:0:1::1")));
    assert!(!gates.is_shut_to(address("192.0.2.1")));
  }
}
