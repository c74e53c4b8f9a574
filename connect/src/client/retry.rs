use std::time::{Duration, Instant};

use uuid::Uuid;

/// The first pause.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// The pauses between the attempts of a call: each about twice the one before, so that a server that comes back is not
/// run over.
pub(super) struct Backoff {
  next: Duration,
  ends_at: Option<Instant>,
}

impl Backoff {
  /// Attempts until then.
  pub(super) fn until(ends_at: Instant) -> Self {
    Self {
      next: FIRST,
      ends_at: Some(ends_at),
    }
  }

  /// Attempts for ever.
  pub(super) fn endless() -> Self {
    Self {
      next: FIRST,
      ends_at: None,
    }
  }

  /// The next attempt is a first one again.
  pub(super) fn reset(&mut self) {
    self.next = FIRST;
  }

  /// How long until the last attempt has to end. `None`: for ever.
  pub(super) fn left(&self) -> Option<Duration> {
    let ends_at = self.ends_at?;
    Some(ends_at.saturating_duration_since(Instant::now()))
  }

  /// Waits for the next attempt. False: there is none.
  pub(super) async fn pause(&mut self) -> bool {
    // Clients that have lost a server at the same moment don't come back at the same moment.
    let pause = self.next.mul_f64(0.5 + random_share() / 2.0);
    if self
      .ends_at
      .is_some_and(|end| Instant::now() + pause >= end)
    {
      return false;
    }
    self.next = (self.next * 2).min(LONGEST);
    tokio::time::sleep(pause).await;
    true
  }
}

/// From 0 to 1.
fn random_share() -> f64 {
  let bytes = Uuid::new_v4().into_bytes();
  f64::from(bytes[0]) / 255.0
}

#[cfg(test)]
mod tests {
  use super::*;

  #[tokio::test(start_paused = true)]
  async fn pauses_grow_to_a_limit() {
    let mut backoff = Backoff::endless();
    let mut pauses = Vec::new();
    for _ in 0..12 {
      let before = tokio::time::Instant::now();
      assert!(backoff.pause().await);
      pauses.push(before.elapsed());
    }
    assert!(pauses[0] <= FIRST + Duration::from_millis(1));
    assert!(pauses[4] >= FIRST * 8);
    assert!(pauses[11] >= LONGEST / 2 && pauses[11] <= LONGEST + Duration::from_millis(1));
    assert!(!Backoff::until(Instant::now()).pause().await);
  }
}
