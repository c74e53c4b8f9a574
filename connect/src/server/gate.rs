//! How much of a token's work goes on at a time, and how often an address may show wrong tokens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ServerLimits;
use super::tokens::TokenId;

/// Addresses that are remembered at most. Beyond, all that are not remembered count as one.
const ADDRESSES: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// Lets requests through, or has them wait.
#[derive(Debug)]
pub(super) struct Gates {
  requests: usize,
  watches: usize,
  patience: Duration,
  by_token: Mutex<HashMap<TokenId, Gate>>,
  wrong_tokens: u32,
  wrong: Mutex<WrongTokens>,
}

#[derive(Clone, Debug)]
struct Gate {
  requests: Arc<Semaphore>,
  watches: Arc<Semaphore>,
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

impl Gates {
  pub(super) fn new(limits: &ServerLimits) -> Self {
    Self {
      requests: limits.requests_of_token,
      watches: limits.watches_of_token,
      patience: limits.patience,
      by_token: Mutex::default(),
      wrong_tokens: limits.wrong_tokens,
      wrong: Mutex::new(WrongTokens {
        since: Instant::now(),
        by_address: HashMap::new(),
        others: 0,
      }),
    }
  }

  /// Waits until the token has room for one more request. `None`: there was none in time.
  pub(super) async fn request(&self, token: TokenId) -> Option<Permit> {
    self.enter(self.gate(token).requests).await
  }

  /// The same for a watch, or a wait for messages.
  pub(super) async fn watch(&self, token: TokenId) -> Option<Permit> {
    self.enter(self.gate(token).watches).await
  }

  async fn enter(&self, semaphore: Arc<Semaphore>) -> Option<Permit> {
    if let Ok(permit) = semaphore.clone().try_acquire_owned() {
      return Some(Permit(permit));
    }
    let permit = tokio::time::timeout(self.patience, semaphore.acquire_owned()).await;
    permit.ok()?.ok().map(Permit)
  }

  fn gate(&self, token: TokenId) -> Gate {
    let mut gates = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
    let gate = gates.entry(token).or_insert_with(|| Gate {
      requests: Arc::new(Semaphore::new(self.requests)),
      watches: Arc::new(Semaphore::new(self.watches)),
    });
    gate.clone()
  }

  /// Whether an address has shown so many wrong tokens that it has to wait.
  pub(super) fn is_shut_to(&self, address: IpAddr) -> bool {
    let mut wrong = self.wrong_tokens_of(Instant::now());
    *wrong.count(address) >= self.wrong_tokens
  }

  /// An address has shown a wrong token.
  pub(super) fn note_wrong_token(&self, address: IpAddr) {
    let mut wrong = self.wrong_tokens_of(Instant::now());
    *wrong.count(address) += 1;
  }

  fn wrong_tokens_of(&self, now: Instant) -> std::sync::MutexGuard<'_, WrongTokens> {
    let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
    if now.duration_since(wrong.since) >= MINUTE {
      wrong.since = now;
      wrong.by_address.clear();
      wrong.others = 0;
    }
    wrong
  }
}

impl WrongTokens {
  fn count(&mut self, address: IpAddr) -> &mut u32 {
    let is_full = self.by_address.len() >= ADDRESSES;
    if is_full && !self.by_address.contains_key(&address) {
      return &mut self.others;
    }
    self.by_address.entry(address).or_default()
  }
}
