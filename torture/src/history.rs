//! Checks strict serialisability: one order of all operations explains what each has seen and agrees with the clock,
//! so that an operation that ended before another began comes before it.
//!
//! Versionstamps make that easy. They already order the commits; a read has a place between two commits, where
//! everything it has seen was current. Then no operation may come before one that had ended when it began.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

/// A place in the order of commits: after the commit with this versionstamp, before the next. The empty string is the
/// place before all commits.
type Place = String;

/// What one client has done and seen.
#[derive(Clone, Debug, Deserialize)]
pub struct Operation {
  /// Microseconds, of a clock that all share.
  pub begin: u64,
  pub end: u64,
  /// Keys it has read, in one snapshot, with the versionstamps it has found.
  pub reads: Vec<(String, Option<Place>)>,
  /// The versionstamp of its commit, if it made one.
  pub versionstamp: Option<Place>,
  /// Keys it has checked in its commit.
  pub checks: Vec<(String, Option<Place>)>,
  /// Keys it has written.
  pub writes: Vec<String>,
}

/// Where a history breaks.
#[derive(Debug, PartialEq)]
pub enum Violation {
  /// Two commits have one versionstamp.
  Twice(Place),
  /// An operation has seen a version of a key that no commit wrote.
  Unknown(String),
  /// A commit has passed its check, although another has come between.
  LostUpdate(String),
  /// What a read has seen was never current at the same time.
  TornSnapshot(Vec<(String, Option<Place>)>),
  /// An operation has not seen the effect of one that had ended before it began.
  Stale { place: Place, before: Place },
}

/// The commits that have written each key, in order.
type Versions = HashMap<String, Vec<Place>>;

/// Checks a history that begins with an empty database.
///
/// # Errors
/// The first violation that is found.
pub fn check(history: &[Operation]) -> Result<(), Violation> {
  let mut commits: BTreeMap<&Place, &Operation> = BTreeMap::new();
  for operation in history {
    if let Some(versionstamp) = &operation.versionstamp
      && commits.insert(versionstamp, operation).is_some()
    {
      return Err(Violation::Twice(versionstamp.clone()));
    }
  }
  let mut versions = Versions::new();
  for (versionstamp, operation) in &commits {
    for key in &operation.writes {
      let versions = versions.entry(key.clone()).or_default();
      versions.push((*versionstamp).clone());
    }
  }
  for (versionstamp, operation) in &commits {
    for (key, seen) in &operation.checks {
      if current(&versions, key, versionstamp) != seen.as_ref() {
        return Err(Violation::LostUpdate(key.clone()));
      }
    }
  }
  // The earliest and the latest place of each operation.
  let mut places = Vec::with_capacity(history.len());
  for operation in history {
    let place = match &operation.versionstamp {
      Some(versionstamp) => (versionstamp.clone(), Some(versionstamp.clone())),
      None => window(&versions, &operation.reads)?,
    };
    places.push((operation, place));
  }
  by_the_clock(places)
}

/// The version of a key just before a place.
fn current<'a>(versions: &'a Versions, key: &str, place: &Place) -> Option<&'a Place> {
  let versions = versions.get(key)?;
  let before = versions.partition_point(|version| version < place);
  before.checked_sub(1).map(|index| &versions[index])
}

/// The range of places where a read fits: from the first, and before the second if there is one.
fn window(
  versions: &Versions,
  reads: &[(String, Option<Place>)],
) -> Result<(Place, Option<Place>), Violation> {
  let (mut earliest, mut until) = (Place::new(), None::<&Place>);
  for (key, seen) in reads {
    let of_key = versions.get(key).map_or(&[][..], Vec::as_slice);
    let next = match seen {
      None => 0,
      Some(seen) => {
        let found = of_key.binary_search(seen);
        found.map_err(|_| Violation::Unknown(key.clone()))? + 1
      }
    };
    if let Some(seen) = seen {
      earliest = earliest.max(seen.clone());
    }
    if let Some(next) = of_key.get(next) {
      until = Some(until.map_or(next, |until| until.min(next)));
    }
  }
  match until {
    Some(until) if *until <= earliest => Err(Violation::TornSnapshot(reads.to_vec())),
    until => Ok((earliest, until.cloned())),
  }
}

/// Checks operations in the order they begin: each must fit at or after the latest place of those that had ended.
fn by_the_clock(mut places: Vec<(&Operation, (Place, Option<Place>))>) -> Result<(), Violation> {
  places.sort_by_key(|(operation, _)| operation.begin);
  let mut ends: Vec<(u64, Place)> = Vec::with_capacity(places.len());
  for (operation, (earliest, _)) in &places {
    ends.push((operation.end, earliest.clone()));
  }
  ends.sort();
  let mut ended = ends.into_iter().peekable();
  let mut reached = Place::new();
  for (operation, (earliest, until)) in places {
    while let Some((_, place)) = ended.next_if(|(end, _)| *end < operation.begin) {
      reached = reached.max(place);
    }
    let is_commit = operation.versionstamp.is_some();
    // A read stands anywhere in its window; a commit at its versionstamp.
    let is_late = match &until {
      Some(until) if is_commit => *until < reached,
      Some(until) => *until <= reached,
      None => false,
    };
    if is_late {
      return Err(Violation::Stale {
        place: earliest,
        before: reached,
      });
    }
  }
  Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
  use super::*;

  fn seen(keys: &[(&str, &str)]) -> Vec<(String, Option<Place>)> {
    let seen = |place: &str| Some(place.to_owned()).filter(|place| !place.is_empty());
    keys
      .iter()
      .map(|(key, place)| ((*key).to_owned(), seen(place)))
      .collect()
  }

  fn read(begin: u64, end: u64, reads: &[(&str, &str)]) -> Operation {
    Operation {
      begin,
      end,
      reads: seen(reads),
      versionstamp: None,
      checks: Vec::new(),
      writes: Vec::new(),
    }
  }

  fn commit(begin: u64, end: u64, at: &str, checks: &[(&str, &str)], writes: &[&str]) -> Operation {
    Operation {
      versionstamp: Some(at.to_owned()),
      checks: seen(checks),
      writes: writes.iter().map(|key| (*key).to_owned()).collect(),
      ..read(begin, end, &[])
    }
  }

  #[test]
  fn a_serialisable_history_passes() {
    let history = [
      read(0, 1, &[("a", ""), ("b", "")]),
      commit(2, 5, "1", &[("a", "")], &["a"]),
      // At the same time: before or after, both are fine.
      read(3, 4, &[("a", "")]),
      read(3, 4, &[("a", "1")]),
      commit(6, 9, "2", &[("a", "1")], &["a", "b"]),
      read(7, 8, &[("a", "2"), ("b", "2")]),
      read(10, 11, &[("b", "2")]),
      commit(10, 12, "3", &[("b", "2")], &["b"]),
    ];
    assert_eq!(check(&history), Ok(()));
  }

  #[test]
  fn a_lost_update_is_caught() {
    let history = [
      commit(0, 1, "1", &[("a", "")], &["a"]),
      commit(2, 5, "2", &[("a", "1")], &["a"]),
      commit(2, 6, "3", &[("a", "1")], &["a"]),
    ];
    assert_eq!(check(&history), Err(Violation::LostUpdate("a".into())));
    let twice = [
      commit(0, 1, "1", &[], &["a"]),
      commit(2, 3, "1", &[], &["a"]),
    ];
    assert_eq!(check(&twice), Err(Violation::Twice("1".into())));
  }

  #[test]
  fn a_stale_read_is_caught() {
    let write = commit(0, 1, "1", &[], &["a"]);
    let history = [write.clone(), read(2, 3, &[("a", "")])];
    assert!(matches!(check(&history), Err(Violation::Stale { .. })));
    // A read must not go back behind another read.
    let history = [
      commit(0, 9, "1", &[], &["a"]),
      read(1, 2, &[("a", "1")]),
      read(3, 4, &[("a", "")]),
    ];
    assert!(matches!(check(&history), Err(Violation::Stale { .. })));
    // Nor a commit before one that had ended.
    let history = [
      commit(0, 1, "2", &[], &["a"]),
      commit(2, 3, "1", &[], &["b"]),
    ];
    assert!(matches!(check(&history), Err(Violation::Stale { .. })));
    let nowhere = [write, read(2, 3, &[("a", "7")])];
    assert_eq!(check(&nowhere), Err(Violation::Unknown("a".into())));
  }

  #[test]
  fn a_torn_commit_is_caught() {
    let history = [
      commit(0, 9, "1", &[], &["a", "b"]),
      read(1, 2, &[("a", "1"), ("b", "")]),
    ];
    assert!(matches!(check(&history), Err(Violation::TornSnapshot(_))));
  }
}
