//! Which calls of a handle wait for one another.
//!
//! Calls happen in the order in which they are made as far as anybody can tell: a read waits for the outstanding writes
//! of its keys, a write for the outstanding reads and writes of its keys, and a message for the messages before it.
//! Calls that have nothing to do with each other are on their way at the same time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use kv_store::engine::{AtomicWrite, MutationKind, ReadRange};
use tokio::sync::oneshot;

/// What a call touches.
#[derive(Clone, Debug, Default)]
pub(super) struct Footprint {
  /// Ranges that are read, from a key up to and without another.
  reads: Vec<(Vec<u8>, Vec<u8>)>,
  /// Ranges that are written.
  writes: Vec<(Vec<u8>, Vec<u8>)>,
  enqueues: bool,
  /// Everything: nothing goes beside it.
  is_barrier: bool,
}

fn point(key: &[u8]) -> (Vec<u8>, Vec<u8>) {
  (key.to_vec(), [key, &[0]].concat())
}

fn overlap(a: &[(Vec<u8>, Vec<u8>)], b: &[(Vec<u8>, Vec<u8>)]) -> bool {
  a.iter().any(|a| b.iter().any(|b| a.0 < b.1 && b.0 < a.1))
}

impl Footprint {
  pub(super) fn of_read(ranges: &[ReadRange]) -> Self {
    let ranges = ranges.iter();
    Self {
      reads: ranges
        .map(|range| (range.start.clone(), range.end.clone()))
        .collect(),
      ..Self::default()
    }
  }

  pub(super) fn of_write(write: &AtomicWrite) -> Self {
    let writes = write.mutations.iter().map(|mutation| match mutation.kind {
      // One of the keys that begin with it.
      MutationKind::SetWithVersionstamp(_) => {
        (mutation.key.clone(), [&mutation.key[..], &[0xff]].concat())
      }
      _ => point(&mutation.key),
    });
    let undelivered = write.enqueues.iter();
    let undelivered = undelivered.flat_map(|enqueue| &enqueue.keys_if_undelivered);
    Self {
      reads: write.checks.iter().map(|check| point(&check.key)).collect(),
      writes: writes.chain(undelivered.map(|key| point(key))).collect(),
      enqueues: !write.enqueues.is_empty(),
      is_barrier: false,
    }
  }

  pub(super) fn barrier() -> Self {
    Self {
      is_barrier: true,
      ..Self::default()
    }
  }

  fn must_wait_for(&self, earlier: &Self) -> bool {
    self.is_barrier
      || earlier.is_barrier
      || self.enqueues && earlier.enqueues
      || overlap(&self.writes, &earlier.writes)
      || overlap(&self.writes, &earlier.reads)
      || overlap(&self.reads, &earlier.writes)
  }
}

/// The outstanding calls of a handle.
#[derive(Clone, Default)]
pub(super) struct Order(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
  last: u64,
  outstanding: Vec<Call>,
}

struct Call {
  number: u64,
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

  /// A place behind the calls that were made before.
  pub(super) fn enter(&self, footprint: Footprint) -> Place {
    let (sender, done) = oneshot::channel::<()>();
    let mut calls = self.calls();
    calls.last += 1;
    let number = calls.last;
    let before = calls.outstanding.iter();
    let before = before
      .filter(|earlier| footprint.must_wait_for(&earlier.footprint))
      .map(|earlier| earlier.done.clone())
      .collect();
    calls.outstanding.push(Call {
      number,
      footprint,
      done: done.map(drop).boxed().shared(),
    });
    drop(calls);
    Place {
      order: self.clone(),
      number,
      _done: sender,
      before,
    }
  }
}

impl Place {
  /// Waits for the calls that this one must come after.
  pub(super) async fn wait(&mut self) {
    if !self.before.is_empty() {
      join_all(std::mem::take(&mut self.before)).await;
    }
  }
}

impl Drop for Place {
  fn drop(&mut self) {
    let mut calls = self.order.calls();
    let number = self.number;
    calls.outstanding.retain(|call| call.number != number);
  }
}

#[cfg(test)]
mod tests {
  use kv_store::Value;
  use kv_store::engine::Mutation;

  use super::*;

  fn read(start: &str, end: &str) -> Footprint {
    Footprint {
      reads: vec![(start.into(), end.into())],
      ..Footprint::default()
    }
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

  #[test]
  fn calls_wait_for_those_on_their_keys() {
    let set = |key| write(key, MutationKind::Set(Value::U64(1)));
    for (later, earlier, waits) in [
      (set("a"), set("a"), true),
      (set("a"), set("b"), false),
      (read("a", "c"), set("b"), true),
      (read("a", "b"), set("b"), false),
      (set("b"), read("a", "c"), true),
      (read("a", "c"), read("a", "c"), false),
      (
        read("a\u{1}", "b"),
        write("a", MutationKind::SetWithVersionstamp(Value::U64(1))),
        true,
      ),
      (Footprint::barrier(), read("x", "y"), true),
    ] {
      assert_eq!(
        later.must_wait_for(&earlier),
        waits,
        "{later:?} {earlier:?}"
      );
    }
  }

  #[tokio::test]
  async fn a_call_begins_when_those_before_are_done() {
    let order = Order::default();
    let set = || write("a", MutationKind::Delete);
    let first = order.enter(set());
    let mut second = order.enter(set());
    let mut third = order.enter(read("a", "b"));
    assert!(second.wait().now_or_never().is_none());
    drop(first);
    second.wait().await;
    let mut again = order.enter(read("x", "y"));
    again.wait().await;
    assert!(third.wait().now_or_never().is_none());
    drop(second);
    third.wait().await;
  }
}
