//! Whether others have committed: who watches and listens here has to hear of it.
//!
//! The index of the log counts the commits of all processes ([`LogState`]). Here is what that count was after
//! the last commit that this process knows of: another count is news. A file without such a log has the number
//! of its last commit instead.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::log_state::{self, LogState};

/// The count that is no news, and the one that is none either: while this process commits, the next.
#[derive(Default)]
pub(super) struct News(AtomicU64);

const fn pack(known: u32, next: u32) -> u64 {
  (known as u64) << 32 | next as u64
}

const fn unpack(state: u64) -> (u32, u32) {
  ((state >> 32) as u32, state as u32)
}

/// A commit of this process, from where it has the write lock.
pub(super) struct Own {
  before: u64,
  /// What the count was then.
  pub(super) count: u32,
}

impl News {
  /// This process has the write lock, and the count is this.
  pub(super) fn begin(&self, count: u32) -> Own {
    let state = pack(count, count.wrapping_add(1));
    let before = self.0.swap(state, Ordering::AcqRel);
    Own { before, count }
  }

  /// It has committed, and the count was this then. True: others had, before.
  #[must_use]
  pub(super) fn end(&self, own: &Own, count: u32) -> bool {
    self.0.store(pack(count, count), Ordering::Release);
    unpack(own.before).0 != own.count
  }

  /// It has not committed. What others have done is news still.
  pub(super) fn undo(&self, own: &Own) {
    self.0.store(own.before, Ordering::Release);
  }

  /// A glance at the count. True: others have committed.
  pub(super) fn glance<E>(&self, count: impl FnOnce() -> Result<u32, E>) -> Result<bool, E> {
    let before = self.0.load(Ordering::Acquire);
    let (known, next) = unpack(before);
    let count = count()?;
    let is_news = count != known && count != next;
    // If this process has begun to commit since, or has committed, it has looked by itself, or will.
    Ok(
      is_news
        && self
          .0
          .compare_exchange(
            before,
            pack(count, count),
            Ordering::AcqRel,
            Ordering::Relaxed,
          )
          .is_ok(),
    )
  }
}

/// Counts the commits to a file, on one connection.
#[derive(Default)]
pub(super) struct Count {
  is_wal: Option<bool>,
}

impl Count {
  /// The count, by a connection that has read the file. `number` asks for the number of the last commit.
  pub(super) fn now(
    &mut self,
    connection: &Connection,
    number: impl FnOnce() -> rusqlite::Result<i64>,
  ) -> rusqlite::Result<u32> {
    if self.is_wal(connection)
      && let Some(log) = LogState::now(connection)
    {
      return Ok(log.commits());
    }
    // Its lower half tells as much.
    number().map(|number| number as u32)
  }

  /// Whether it is the log that counts.
  pub(super) fn is_wal(&mut self, connection: &Connection) -> bool {
    let is_wal = || log_state::is_wal(connection);
    *self.is_wal.get_or_insert_with(is_wal)
  }
}

#[cfg(test)]
mod tests {
  use std::convert::Infallible;

  use super::*;

  fn glance(news: &News, count: u32) -> bool {
    news.glance(|| Ok::<_, Infallible>(count)).unwrap()
  }

  #[test]
  fn own_commits_are_no_news_and_those_of_others_are() {
    let news = News::default();
    assert!(glance(&news, 7));
    assert!(!glance(&news, 7));
    let own = news.begin(7);
    // Before it is committed, and after.
    assert!(!glance(&news, 7));
    assert!(!glance(&news, 8));
    assert!(!news.end(&own, own.count.wrapping_add(1)));
    assert!(!glance(&news, 8));
    // One that changes nothing.
    let own = news.begin(8);
    assert!(!news.end(&own, own.count));
    assert!(!glance(&news, 8));
    assert!(glance(&news, 9));
    // Another came first.
    let own = news.begin(10);
    assert!(news.end(&own, own.count.wrapping_add(1)));
    assert!(!glance(&news, 11));
  }

  #[test]
  fn what_fails_keeps_the_news() {
    let news = News::default();
    assert!(glance(&news, 7));
    let own = news.begin(8);
    news.undo(&own);
    assert!(glance(&news, 8));
    let own = news.begin(9);
    news.undo(&own);
    let own = news.begin(9);
    assert!(news.end(&own, own.count.wrapping_add(1)));
  }

  #[test]
  fn a_glance_from_before_a_commit_says_nothing() {
    let news = News::default();
    let _ = glance(&news, 7);
    let late = news.glance(|| {
      let own = news.begin(7);
      assert!(!news.end(&own, own.count.wrapping_add(1)));
      Ok::<_, Infallible>(9)
    });
    assert!(!late.unwrap());
    // It is seen the next time.
    assert!(glance(&news, 9));
  }

  #[test]
  fn the_count_may_start_over() {
    let news = News::default();
    let _ = glance(&news, u32::MAX);
    let own = news.begin(u32::MAX);
    assert!(!news.end(&own, own.count.wrapping_add(1)));
    assert!(!glance(&news, 0));
  }
}
