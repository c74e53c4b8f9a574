//! Which calls of a handle wait for one another.
//!
//! Calls that touch the same keys happen in the order in which they are made: a read waits for the outstanding writes of
//! its keys, and a write for the outstanding reads and writes of its keys. Calls that have no key in common are on their
//! way at the same time, and so are sums of the same keys, which come to the same in any order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use kv_store::engine::{AtomicWrite, MutationKind, ReadRange};
use tokio::sync::oneshot;

type Key = Vec<u8>;

/// How a call touches keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
  Read,
  Add,
  Write,
}

impl Access {
  /// Two reads don't meet, nor do two sums.
  fn meets(self, other: Self) -> bool {
    self != other || self == Self::Write
  }
}

/// What a call touches.
#[derive(Debug, Default)]
pub(super) struct Footprint {
  points: Vec<(Key, Access)>,
  /// From a key up to and without another.
  ranges: Vec<(Key, Key, Access)>,
  /// It comes after all calls before it.
  is_last: bool,
}

impl Footprint {
  pub(super) fn of_read(ranges: &[ReadRange]) -> Self {
    let mut footprint = Self::default();
    for range in ranges {
      match range.as_point() {
        Some(key) => footprint.points.push((key.to_vec(), Access::Read)),
        None => {
          let (start, end) = (range.start.clone(), range.end.clone());
          footprint.ranges.push((start, end, Access::Read));
        }
      }
    }
    footprint
  }

  pub(super) fn of_write(write: &AtomicWrite) -> Self {
    let mut footprint = Self::default();
    let checked = write.checks.iter().map(|check| &check.key);
    let checked = checked.map(|key| (key.clone(), Access::Read));
    footprint.points.extend(checked);
    for mutation in &write.mutations {
      match mutation.kind {
        // One of the keys that begin with it.
        MutationKind::SetWithVersionstamp(_) => {
          let end = [&mutation.key[..], &[0xff]].concat();
          let range = (mutation.key.clone(), end, Access::Write);
          footprint.ranges.push(range);
        }
        MutationKind::Sum(_) => footprint.points.push((mutation.key.clone(), Access::Add)),
        _ => footprint.points.push((mutation.key.clone(), Access::Write)),
      }
    }
    footprint
  }

  /// Of a call that comes after all others.
  pub(super) fn last() -> Self {
    Self {
      is_last: true,
      ..Self::default()
    }
  }
}

/// The outstanding calls of a handle.
#[derive(Clone, Default)]
pub(super) struct Order(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
  last_number: u64,
  outstanding: HashMap<u64, Call>,
  /// The calls that touch single keys, by these.
  points: BTreeMap<Key, Vec<(u64, Access)>>,
  /// The calls that touch ranges.
  ranges: BTreeSet<u64>,
}

struct Call {
  footprint: Footprint,
  done: Shared<BoxFuture<'static, ()>>,
}

/// A call that is outstanding until this is dropped.
pub(super) struct Place {
  order: Order,
  number: u64,
  /// Dropped with it: those that wait go on.
  _done: oneshot::Sender<()>,
  before: Vec<Shared<BoxFuture<'static, ()>>>,
}

impl Order {
  fn calls(&self) -> MutexGuard<'_, Calls> {
    self.0.lock().unwrap_or_else(PoisonError::into_inner)
  }

  /// A place behind the calls that were made before and touch the same keys.
  pub(super) fn enter(&self, footprint: Footprint) -> Place {
    let (sender, done) = oneshot::channel::<()>();
    let mut calls = self.calls();
    let before = calls.before(&footprint);
    let number = calls.add(footprint, done.map(drop).boxed().shared());
    drop(calls);
    Place {
      order: self.clone(),
      number,
      _done: sender,
      before,
    }
  }
}

impl Calls {
  /// The calls that one with this footprint comes after.
  fn before(&self, footprint: &Footprint) -> Vec<Shared<BoxFuture<'static, ()>>> {
    if self.outstanding.is_empty() {
      return Vec::new();
    }
    if footprint.is_last {
      return self
        .outstanding
        .values()
        .map(|call| call.done.clone())
        .collect();
    }
    let mut numbers = BTreeSet::new();
    for (key, access) in &footprint.points {
      numbers.extend(meeting(self.points.get(key), *access));
      numbers.extend(self.ranges_that_meet(key, None, *access));
    }
    for (start, end, access) in &footprint.ranges {
      if start < end {
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        for (_, calls) in self.points.range::<Key, _>(bounds) {
          numbers.extend(meeting(Some(calls), *access));
        }
        numbers.extend(self.ranges_that_meet(start, Some(end), *access));
      }
    }
    let calls = numbers.iter();
    calls
      .filter_map(|number| Some(self.outstanding.get(number)?.done.clone()))
      .collect()
  }

  /// The calls with a range that has a key in common with this one, or with this key.
  fn ranges_that_meet<'c>(
    &'c self,
    start: &'c Key,
    end: Option<&'c Key>,
    access: Access,
  ) -> impl Iterator<Item = u64> + 'c {
    self.ranges.iter().copied().filter(move |number| {
      let ranges = self
        .outstanding
        .get(number)
        .map(|call| &call.footprint.ranges);
      let mut ranges = ranges.into_iter().flatten();
      ranges.any(|(other_start, other_end, other)| {
        let is_before = match end {
          Some(end) => end <= other_start,
          None => start < other_start,
        };
        access.meets(*other) && !is_before && start < other_end
      })
    })
  }

  fn add(&mut self, footprint: Footprint, done: Shared<BoxFuture<'static, ()>>) -> u64 {
    self.last_number += 1;
    let number = self.last_number;
    for (key, access) in &footprint.points {
      let calls = self.points.entry(key.clone()).or_default();
      calls.push((number, *access));
    }
    if !footprint.ranges.is_empty() {
      self.ranges.insert(number);
    }
    self.outstanding.insert(number, Call { footprint, done });
    number
  }

  fn remove(&mut self, number: u64) {
    let Some(call) = self.outstanding.remove(&number) else {
      return;
    };
    for (key, _) in &call.footprint.points {
      if let Some(calls) = self.points.get_mut(key) {
        calls.retain(|(other, _)| *other != number);
        if calls.is_empty() {
          self.points.remove(key);
        }
      }
    }
    self.ranges.remove(&number);
  }
}

/// Those of these calls that meet such an access.
fn meeting(calls: Option<&Vec<(u64, Access)>>, access: Access) -> impl Iterator<Item = u64> + '_ {
  let calls = calls.into_iter().flatten();
  calls
    .filter(move |(_, other)| access.meets(*other))
    .map(|(number, _)| *number)
}

impl Place {
  /// Waits for the calls that this one comes after.
  pub(super) async fn wait(&mut self) {
    if !self.before.is_empty() {
      join_all(std::mem::take(&mut self.before)).await;
    }
  }
}

impl Drop for Place {
  fn drop(&mut self) {
    self.order.calls().remove(self.number);
  }
}

#[cfg(test)]
mod tests {
  use kv_store::Value;
  use kv_store::engine::Mutation;

  use super::*;

  fn read(start: &str, end: &str) -> Footprint {
    Footprint::of_read(&[ReadRange {
      start: start.into(),
      end: end.into(),
      limit: 10.try_into().unwrap(),
      reverse: false,
    }])
  }

  fn write(key: &str, kind: MutationKind) -> Footprint {
    Footprint::of_write(&AtomicWrite {
      mutations: vec![Mutation {
        key: key.into(),
        kind,
        expire_at: None,
      }],
      ..AtomicWrite::default()
    })
  }

  fn set(key: &str) -> Footprint {
    write(key, MutationKind::Set(Value::U64(1)))
  }

  fn suffixed(key: &str) -> Footprint {
    write(key, MutationKind::SetWithVersionstamp(Value::U64(1)))
  }

  fn sum(key: &str) -> Footprint {
    write(key, MutationKind::Sum(Value::U64(1)))
  }

  #[test]
  fn calls_wait_for_those_on_their_keys() {
    for (earlier, later, waits) in [
      (set("a"), set("a"), true),
      (set("b"), set("a"), false),
      (set("b"), read("a", "c"), true),
      (set("b"), read("a", "b"), false),
      (set("b"), read("b", "b\0"), true),
      (read("a", "c"), set("b"), true),
      (read("a", "c"), set("c"), false),
      (read("a", "c"), read("a", "c"), false),
      (read("b", "b\0"), set("b"), true),
      (suffixed("a"), read("a\u{1}", "b"), true),
      (read("a\u{1}", "b"), suffixed("a"), true),
      (suffixed("a"), suffixed("b"), false),
      (sum("a"), sum("a"), false),
      (sum("a"), set("a"), true),
      (sum("a"), read("a", "b"), true),
      (read("x", "y"), Footprint::last(), true),
    ] {
      let order = Order::default();
      let text = format!("{earlier:?} {later:?}");
      let first = order.enter(earlier);
      let mut second = order.enter(later);
      assert_eq!(second.wait().now_or_never().is_none(), waits, "{text}");
      drop((first, second));
      let calls = order.calls();
      assert!(calls.outstanding.is_empty() && calls.points.is_empty() && calls.ranges.is_empty());
    }
  }

  #[tokio::test]
  async fn a_call_begins_when_those_before_are_done() {
    let order = Order::default();
    let first = order.enter(set("a"));
    let mut second = order.enter(set("a"));
    let mut third = order.enter(read("a", "b"));
    let waiting = tokio::spawn(async move {
      second.wait().await;
      second
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(first);
    let second = waiting.await.unwrap();
    let waiting = tokio::spawn(async move { third.wait().await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(second);
    waiting.await.unwrap();
  }
}
