//! The store beside raw rusqlite, which does the same statements, and beside Deno's own store. All on
//! file databases with `synchronous=FULL`, in the same process.

#![allow(
  clippy::unwrap_used,
  clippy::panic,
  missing_docs,
  reason = "a benchmark that fails has to stop"
)]

mod peer;
mod raw;

use std::hint::black_box;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use futures::future::join_all;
use kv_ext::Value;
use kv_ext::key::{Key, KeyPart};
use kv_ext::store::sqlite::{SqliteOptions, open_file};
use kv_ext::store::{AtomicWrite, Backend, Mutation, MutationKind, ReadRange};
use peer::Peer;
use raw::Raw;

const KEYS: u64 = 20_000;
const RANGE: u32 = 100;
const TASKS: u64 = 64;

fn key(i: u64) -> Vec<u8> {
  let parts = [KeyPart::String("users".into()), KeyPart::Number(i as f64)];
  Key(parts.into()).encode().unwrap()
}

/// A small object, as V8 would store it: 60 bytes.
fn value() -> Vec<u8> {
  let mut value = vec![0xff, 0x0f, b'o'];
  value.resize(60, b'x');
  value
}

/// A key in no order that a cache could guess.
fn some(i: &mut u64) -> Vec<u8> {
  *i += 7919;
  key(*i % KEYS)
}

fn set(key: Vec<u8>) -> AtomicWrite {
  AtomicWrite {
    mutations: vec![Mutation {
      key,
      kind: MutationKind::Set(Value::V8(value())),
      expire_at: None,
    }],
    ..AtomicWrite::default()
  }
}

fn range(i: &mut u64) -> (Vec<u8>, Vec<u8>) {
  let start = (*i * 7919) % (KEYS - u64::from(RANGE));
  *i += 1;
  (key(start), key(start + u64::from(RANGE)))
}

struct Stores {
  ours: Arc<dyn Backend>,
  raw: Raw,
  peer: Peer,
  runtime: tokio::runtime::Runtime,
}

/// All three, each with the same keys in a file of its own.
fn stores(folder: &Path) -> Stores {
  let runtime = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  let ours = open_file(&folder.join("ours"), &SqliteOptions::default()).unwrap();
  for start in (0..KEYS).step_by(500) {
    let mut write = AtomicWrite::default();
    for i in start..start + 500 {
      write.mutations.extend(set(key(i)).mutations);
    }
    ours.atomic_write(write).wait_blocking().unwrap();
  }
  // Made by the store, so that the tables are the same.
  let copy = |name: &str| {
    let path = folder.join(name);
    let from = rusqlite::Connection::open(folder.join("ours")).unwrap();
    from
      .execute("VACUUM INTO ?1", [path.to_str().unwrap()])
      .unwrap();
    path
  };
  let raw = Raw::open(&copy("raw"));
  let peer = Peer::open(&copy("peer"));
  Stores {
    ours,
    raw,
    peer,
    runtime,
  }
}

fn benchmarks(criterion: &mut Criterion) {
  // On the disk that the project is on: the system's folder for temporary files may be in memory.
  let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
  let Stores {
    ours,
    mut raw,
    peer,
    runtime,
  } = stores(folder.path());

  let mut group = criterion.benchmark_group("point read");
  let mut i = 0;
  group.bench_function("raw", |bench| bench.iter(|| raw.get(&some(&mut i))));
  group.bench_function("kv", |bench| {
    bench.iter(|| {
      let range = ReadRange::point(some(&mut i));
      ours
        .snapshot_read(vec![range], Default::default())
        .wait_blocking()
        .unwrap()
    });
  });
  group.bench_function("denokv_sqlite", |bench| {
    bench.iter(|| runtime.block_on(peer.get(some(&mut i))));
  });
  group.finish();

  let mut group = criterion.benchmark_group("range of 100");
  group.bench_function("raw", |bench| {
    bench.iter(|| {
      let (start, end) = range(&mut i);
      black_box(raw.range(&start, &end, RANGE))
    });
  });
  group.bench_function("kv", |bench| {
    bench.iter(|| {
      let (start, end) = range(&mut i);
      let range = ReadRange {
        start,
        end,
        limit: NonZeroU32::new(RANGE).unwrap(),
        reverse: false,
      };
      ours
        .snapshot_read(vec![range], Default::default())
        .wait_blocking()
        .unwrap()
    });
  });
  group.bench_function("denokv_sqlite", |bench| {
    bench.iter(|| {
      let (start, end) = range(&mut i);
      runtime.block_on(peer.range(start, end, RANGE))
    });
  });
  group.finish();

  let mut group = criterion.benchmark_group("commit of one set");
  group.measurement_time(Duration::from_secs(8));
  group.bench_function("raw", |bench| {
    bench.iter(|| raw.commit(&[some(&mut i)], &value()));
  });
  group.bench_function("kv", |bench| {
    bench.iter(|| {
      ours
        .atomic_write(set(some(&mut i)))
        .wait_blocking()
        .unwrap()
    });
  });
  group.bench_function("denokv_sqlite", |bench| {
    bench.iter(|| runtime.block_on(peer.set(some(&mut i), value())));
  });
  group.finish();

  let mut group = criterion.benchmark_group("64 commits at once");
  group.measurement_time(Duration::from_secs(8));
  group.bench_function("raw", |bench| {
    bench.iter(|| {
      let keys: Vec<_> = (0..TASKS).map(|_| some(&mut i)).collect();
      raw.commit(&keys, &value());
    });
  });
  group.bench_function("kv", |bench| {
    bench.iter(|| {
      let keys: Vec<_> = (0..TASKS).map(|_| some(&mut i)).collect();
      let tasks = keys
        .into_iter()
        .map(|key| async { ours.atomic_write(set(key)).wait().await.unwrap() });
      runtime.block_on(join_all(tasks))
    });
  });
  group.bench_function("denokv_sqlite", |bench| {
    bench.iter(|| {
      let keys: Vec<_> = (0..TASKS).map(|_| some(&mut i)).collect();
      let tasks = keys.into_iter().map(|key| peer.set(key, value()));
      runtime.block_on(join_all(tasks))
    });
  });
  group.finish();
}

criterion_group!(store, benchmarks);
criterion_main!(store);
