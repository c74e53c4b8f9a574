//! Whether other processes have committed: watchers and listeners of this process must hear of it.
//!
//! The WAL index counts the commits of all processes ([`WalIndex::i_change`]). [`ForeignCommits`] keeps the count after
//! the last commit that this process knows of; another count means foreign commits. Without a readable index, the
//! process looks at SQLite's data version instead, which can't tell its own commits from others.

use std::sync::atomic::{AtomicU64, Ordering};

/// The count that is known, and the one that this process is about to make, packed into one word.
#[derive(Default)]
pub(crate) struct ForeignCommits(AtomicU64);

const fn pack(known: u32, next: u32) -> u64 {
  (known as u64) << 32 | next as u64
}

const fn unpack(state: u64) -> (u32, u32) {
  ((state >> 32) as u32, state as u32)
}

/// A commit of this process, from the moment it holds the write lock.
pub(crate) struct OwnCommit {
  state_before: u64,
  count_before: u32,
}

impl ForeignCommits {
  /// This process holds the write lock, and the count is `count`.
  pub(crate) fn begin(&self, count: u32) -> OwnCommit {
    let state = pack(count, count.wrapping_add(1));
    OwnCommit {
      state_before: self.0.swap(state, Ordering::AcqRel),
      count_before: count,
    }
  }

  /// The transaction is committed; `has_changed` says whether it changed anything, which adds one to the count. True:
  /// others had committed before it.
  #[must_use]
  pub(crate) fn end(&self, own: &OwnCommit, has_changed: bool) -> bool {
    let count = own.count_before.wrapping_add(has_changed.into());
    self.0.store(pack(count, count), Ordering::Release);
    unpack(own.state_before).0 != own.count_before
  }

  /// The transaction was rolled back. Foreign commits before it are still to be found.
  pub(crate) fn undo(&self, own: &OwnCommit) {
    self.0.store(own.state_before, Ordering::Release);
  }

  /// Looks whether others have committed. `None`: there is no count.
  pub(crate) fn look(&self, count: impl FnOnce() -> Option<u32>) -> Option<bool> {
    let before = self.0.load(Ordering::Acquire);
    let (known, next) = unpack(before);
    let count = count()?;
    let is_foreign = count != known && count != next;
    // If this process has begun to commit since, or has committed, that commit finds them.
    let found = pack(count, count);
    Some(
      is_foreign
        && self
          .0
          .compare_exchange(before, found, Ordering::AcqRel, Ordering::Relaxed)
          .is_ok(),
    )
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  fn look(commits: &ForeignCommits, count: u32) -> bool {
    commits.look(|| Some(count)).unwrap()
  }

  #[test]
  fn own_commits_are_not_foreign() {
    let commits = ForeignCommits::default();
    assert!(look(&commits, 7));
    assert!(!look(&commits, 7));
    let own = commits.begin(7);
    // Before it is committed, and after.
    assert!(!look(&commits, 7));
    assert!(!look(&commits, 8));
    assert!(!commits.end(&own, true));
    assert!(!look(&commits, 8));
    // One that changes nothing.
    let own = commits.begin(8);
    assert!(!commits.end(&own, false));
    assert!(!look(&commits, 8));
    assert!(look(&commits, 9));
    // Another came first.
    let own = commits.begin(10);
    assert!(commits.end(&own, true));
    assert!(!look(&commits, 11));
  }

  #[test]
  fn rollback_hides_nothing() {
    let commits = ForeignCommits::default();
    assert!(look(&commits, 7));
    let own = commits.begin(8);
    commits.undo(&own);
    assert!(look(&commits, 8));
    let own = commits.begin(9);
    commits.undo(&own);
    let own = commits.begin(9);
    assert!(commits.end(&own, true));
  }

  #[test]
  fn look_from_before_a_commit_is_void() {
    let commits = ForeignCommits::default();
    let _ = look(&commits, 7);
    let is_foreign = commits.look(|| {
      let own = commits.begin(7);
      assert!(!commits.end(&own, true));
      Some(9)
    });
    assert_eq!(is_foreign, Some(false));
    // The next look finds it.
    assert!(look(&commits, 9));
  }

  #[test]
  fn count_may_wrap() {
    let commits = ForeignCommits::default();
    let _ = look(&commits, u32::MAX);
    let own = commits.begin(u32::MAX);
    assert!(!commits.end(&own, true));
    assert!(!look(&commits, 0));
  }
}
