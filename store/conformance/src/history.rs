//! Concurrent histories, checked for strict serialisability: there is one order of all operations that explains every
//! answer, and in which an operation that ended before another began comes first.
//!
//! Versionstamps give the order of the commits. Each read, and each check that failed, must fit between two commits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use kv_store::engine::{AtomicWrite, Backend, CommitOutcome, MutationKind, ReadRange};
use kv_store::{Value, Versionstamp};

use crate::kit::*;
use crate::{Database, behaviours};

behaviours![
  concurrent_sums_are_all_counted,
  concurrent_checks_lose_no_update,
  concurrent_history_is_strictly_serialisable,
];

const THREADS: usize = 4;

/// Runs `work` on some threads at once, each with a handle.
fn at_once(db: &Database, work: impl Fn(usize, &Arc<dyn Backend>) + Sync) {
  thread::scope(|scope| {
    for i in 0..THREADS {
      let store = if i % 2 == 0 { &db.a } else { &db.b };
      let work = &work;
      scope.spawn(move || work(i, store));
    }
  });
}

fn concurrent_sums_are_all_counted(db: &Database) {
  at_once(db, |_, store| {
    for _ in 0..50 {
      put(store, [mutation("n", MutationKind::Sum(Value::U64(1)))]);
    }
  });
  assert_eq!(value(&db.a, "n"), Some(Value::U64(50 * THREADS as u64)));
}

fn concurrent_checks_lose_no_update(db: &Database) {
  at_once(db, |_, store| {
    for _ in 0..25 {
      loop {
        let point = ReadRange::point(b"n".to_vec());
        let found = read_many(store, vec![point]).remove(0);
        let held = found.into_iter().next().map(|(_, held)| held);
        let number: u64 = held.as_ref().map_or(0, |held| match &held.value {
          Value::Bytes(digits) => std::str::from_utf8(digits).unwrap().parse().unwrap(),
          other => panic!("{other:?}"),
        });
        let write = AtomicWrite {
          checks: vec![check("n", held.map(|held| held.versionstamp))],
          ..writes([set("n", &(number + 1).to_string())])
        };
        if let CommitOutcome::Committed(_) = commit(store, write) {
          break;
        }
      }
    }
  });
  assert_eq!(text(&db.a, "n"), Some((25 * THREADS).to_string()));
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// What keys hold: the versionstamps of their entries.
type State = BTreeMap<&'static str, Option<Versionstamp>>;

/// An operation, and when it was at work.
struct Operation {
  began: Instant,
  ended: Instant,
  kind: Kind,
}

enum Kind {
  /// A commit: its checks, and whether it sets or deletes each of its keys.
  Commit {
    versionstamp: Versionstamp,
    checks: State,
    sets: BTreeMap<&'static str, bool>,
  },
  /// A write whose checks failed.
  Refused {
    checks: State,
  },
  Read {
    found: State,
  },
}

/// A linear congruential generator: the same history for the same seed, but for the timing of the threads.
struct Random(u64);

impl Random {
  fn below(&mut self, end: usize) -> usize {
    self.0 = self
      .0
      .wrapping_mul(6_364_136_223_846_793_005)
      .wrapping_add(1_442_695_040_888_963_407);
    (self.0 >> 33) as usize % end
  }

  fn keys(&mut self) -> Vec<&'static str> {
    let count = 1 + self.below(3);
    let mut keys: Vec<_> = (0..count).map(|_| KEYS[self.below(4)]).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
  }
}

fn concurrent_history_is_strictly_serialisable(db: &Database) {
  let seed = std::env::var("KV_CONFORMANCE_SEED").map_or(1, |seed| seed.parse().unwrap());
  println!("KV_CONFORMANCE_SEED={seed}");
  let history = Mutex::new(Vec::new());
  at_once(db, |i, store| {
    let mut random = Random(seed * 1000 + i as u64);
    let mut seen = State::new();
    let mut operations = Vec::new();
    for _ in 0..150 {
      let began = Instant::now();
      let kind = operate(store, &mut random, &mut seen);
      operations.push(Operation {
        began,
        ended: Instant::now(),
        kind,
      });
    }
    history.lock().unwrap().extend(operations);
  });
  check_history(history.into_inner().unwrap());
}

fn operate(store: &Arc<dyn Backend>, random: &mut Random, seen: &mut State) -> Kind {
  let keys = random.keys();
  if random.below(2) == 0 {
    let points = keys
      .iter()
      .map(|key| ReadRange::point(key.as_bytes().to_vec()));
    let found = read_many(store, points.collect());
    let stamps = found
      .iter()
      .map(|range| range.first().map(|(_, held)| held.versionstamp));
    let found: State = keys.into_iter().zip(stamps).collect();
    seen.extend(found.clone());
    return Kind::Read { found };
  }
  let checks: State = match random.below(2) {
    0 => State::new(),
    // Of what was read last, which may be out of date.
    _ => seen
      .iter()
      .filter(|(key, _)| keys.contains(key))
      .map(|(key, stamp)| (*key, *stamp))
      .collect(),
  };
  let sets: BTreeMap<_, _> = keys
    .into_iter()
    .map(|key| (key, random.below(4) > 0))
    .collect();
  let mutations: Vec<_> = sets
    .iter()
    .map(|(key, is_set)| if *is_set { set(key, "") } else { delete(key) })
    .collect();
  let write = AtomicWrite {
    checks: checks
      .iter()
      .map(|(key, stamp)| check(key, *stamp))
      .collect(),
    ..writes(mutations)
  };
  match commit(store, write) {
    CommitOutcome::CheckFailed(_) => Kind::Refused { checks },
    CommitOutcome::Committed(versionstamp) => {
      for (key, is_set) in &sets {
        seen.insert(key, is_set.then_some(versionstamp));
      }
      Kind::Commit {
        versionstamp,
        checks,
        sets,
      }
    }
  }
}

fn check_history(mut history: Vec<Operation>) {
  history.sort_by_key(|operation| operation.began);
  let mut commits: Vec<(
    &Operation,
    Versionstamp,
    &State,
    &BTreeMap<&'static str, bool>,
  )> = history
    .iter()
    .filter_map(|operation| match &operation.kind {
      Kind::Commit {
        versionstamp,
        checks,
        sets,
      } => Some((operation, *versionstamp, checks, sets)),
      _ => None,
    })
    .collect();
  commits.sort_by_key(|commit| commit.1);
  // The states between the commits: the first is before all of them.
  let mut states: Vec<State> = vec![KEYS.map(|key| (key, None)).into()];
  for (index, (operation, versionstamp, checks, sets)) in commits.iter().enumerate() {
    let before = states[index].clone();
    assert!(
      checks.iter().all(|(key, stamp)| before[key] == *stamp),
      "a commit whose checks don't hold: {versionstamp}"
    );
    let mut state = before;
    for (key, is_set) in *sets {
      state.insert(key, is_set.then_some(*versionstamp));
    }
    states.push(state);
    if let Some((earlier, earlier_stamp, ..)) = index.checked_sub(1).map(|i| commits[i]) {
      assert_ne!(earlier_stamp, *versionstamp, "two commits share it");
      assert!(
        earlier.began <= operation.ended,
        "{earlier_stamp} began after {versionstamp} had ended"
      );
    }
  }
  // Real time between all pairs of commits, not only neighbours.
  let mut latest_began: Option<Instant> = None;
  for (operation, versionstamp, ..) in &commits {
    assert!(
      latest_began.is_none_or(|began| began <= operation.ended),
      "a commit before {versionstamp} began after it had ended"
    );
    latest_began = latest_began.max(Some(operation.began));
  }
  // Each read sees the state after some number of commits: no fewer than had ended when it began, nor than an
  // earlier read has seen, and none that began after it had ended.
  let mut placed: Vec<(Instant, usize)> = Vec::new();
  for operation in &history {
    let fits: Box<dyn Fn(&State) -> bool> = match &operation.kind {
      Kind::Commit { .. } => continue,
      Kind::Read { found } => {
        Box::new(move |state: &State| found.iter().all(|(key, stamp)| state[key] == *stamp))
      }
      Kind::Refused { checks } => {
        Box::new(move |state: &State| checks.iter().any(|(key, stamp)| state[key] != *stamp))
      }
    };
    let after_commits = commits
      .iter()
      .rposition(|(commit, ..)| commit.ended < operation.began)
      .map_or(0, |index| index + 1);
    let after_reads = placed
      .iter()
      .filter(|(ended, _)| *ended < operation.began)
      .map(|(_, place)| *place)
      .max();
    let first = after_commits.max(after_reads.unwrap_or(0));
    let last = commits
      .iter()
      .position(|(commit, ..)| commit.began > operation.ended)
      .unwrap_or(commits.len());
    let place = (first..=last).find(|place| fits(&states[*place]));
    let Some(place) = place else {
      panic!("an operation fits nowhere between {first} and {last} of the commits");
    };
    placed.push((operation.ended, place));
  }
}
