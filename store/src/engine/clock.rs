use std::time::{SystemTime, UNIX_EPOCH};

/// Where the store takes the time from that expiry is measured in. Tests inject their own, so
/// that they don't sleep.
pub trait Clock: Send + Sync {
  /// Milliseconds since 1970-01-01 UTC.
  fn now_ms(&self) -> u64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
  fn now_ms(&self) -> u64 {
    // A clock before 1970 counts as 1970: nothing has expired then.
    SystemTime::now()
      .duration_since(UNIX_EPOCH)
      .map_or(0, |elapsed| {
        elapsed.as_millis().try_into().unwrap_or(u64::MAX)
      })
  }
}
