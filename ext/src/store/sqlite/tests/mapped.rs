//! Large files that are mapped: nobody sees a difference but in time.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;

use super::*;

const KEYS: usize = 24_000;

fn key(i: usize) -> String {
  format!("key {i:05}")
}

/// Four to a leaf, or, one in a hundred, in pages of its own.
fn value(word: &str, i: usize) -> String {
  let len = if i.is_multiple_of(100) { 20_000 } else { 800 };
  format!("{word} {i} {}", "x".repeat(len))
}

struct File {
  _folder: TempDir,
  path: PathBuf,
  store: Arc<dyn Backend>,
  other: Connection,
}

impl File {
  /// Larger than SQLite's cache.
  fn new() -> Self {
    Self::with_limit(u64::MAX)
  }

  fn with_limit(mmap_size: u64) -> Self {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kv");
    let options = SqliteOptions {
      mmap_size,
      ..options()
    };
    let store = open_file(&path, &options).unwrap();
    let other = Connection::open(&path).unwrap();
    let file = Self {
      _folder: folder,
      path,
      store,
      other,
    };
    file.write("old", 1);
    file.checkpoint();
    assert!(file.bytes() > 20 << 20);
    file
  }

  /// Every so many keys.
  fn write(&self, word: &str, step: usize) {
    self.change(step, |i| {
      MutationKind::Set(Value::Bytes(value(word, i).into()))
    });
  }

  fn change(&self, step: usize, kind: impl Fn(usize) -> MutationKind) {
    let keys: Vec<_> = (0..KEYS).step_by(step).collect();
    for keys in keys.chunks(1000) {
      let mutations = keys.iter().map(|i| mutation(&key(*i), kind(*i)));
      commit(&*self.store, mutations.collect()).unwrap();
    }
  }

  fn checkpoint(&self) {
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    self.other.query_row(sql, [], |_| Ok(())).unwrap();
  }

  fn bytes(&self) -> u64 {
    fs::metadata(&self.path).unwrap().len()
  }

  /// Until what VACUUM has left is what the file has: who reads no more lets go in a moment.
  fn shrink(&self) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while self.bytes() > 4 << 20 {
      assert!(Instant::now() < deadline);
      thread::sleep(Duration::from_millis(5));
      self.checkpoint();
    }
  }

  /// How many of the keys are what `write` has made them.
  fn read(&self, word: &str) -> usize {
    let is_there = |i: &usize| text(&*self.store, &key(*i)) == Some(value(word, *i));
    (0..KEYS).filter(is_there).count()
  }

  fn is_mapped(&self) -> bool {
    self.map().is_some()
  }

  /// Where the file is mapped, which the system tells.
  fn map(&self) -> Option<std::ops::Range<u64>> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path = self.path.to_str().unwrap();
    let line = maps.lines().find(|line| line.ends_with(path))?;
    let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    let number = |hex| u64::from_str_radix(hex, 16).unwrap();
    Some(number(start)..number(end))
  }
}

#[test]
fn what_is_committed_is_read_also_after_the_file_was_mapped() {
  let file = File::new();
  assert!(!file.is_mapped());
  assert_eq!(file.read("old"), KEYS);
  assert!(file.is_mapped());
  // In the log, and then in the file.
  file.write("new", 1);
  assert_eq!(file.read("new"), KEYS);
  file.checkpoint();
  assert_eq!(file.read("new"), KEYS);
  // In pages that the file did not have.
  let before = file.bytes();
  let more = |i| set(&format!("more {i}"), &value("more", i));
  commit(&*file.store, (0..KEYS).map(more).collect()).unwrap();
  file.checkpoint();
  assert!(file.bytes() > before + (10 << 20));
  for i in 0..KEYS {
    let found = text(&*file.store, &format!("more {i}"));
    assert_eq!(found, Some(value("more", i)));
  }
  assert_eq!(file.read("new"), KEYS);
}

#[test]
fn no_more_is_mapped_than_may_be_and_that_once() {
  let limit = 18 << 20;
  let file = File::with_limit(limit);
  assert_eq!(file.read("old"), KEYS);
  let map = file.map().unwrap();
  assert_eq!(map.end - map.start, limit);
  assert_eq!(file.read("old"), KEYS);
  assert_eq!(file.map(), Some(map));
}

#[test]
fn lists_and_small_files_use_no_map() {
  let file = File::new();
  for limit in [100, 24_000] {
    for _ in 0..5 {
      let ranges = vec![range("key", "kez", limit, false)];
      let found = file.store.snapshot_read(ranges).wait_blocking().unwrap();
      assert_eq!(found[0].len(), limit as usize);
    }
  }
  assert!(!file.is_mapped());

  file.change(1, |_| MutationKind::Delete);
  commit(&*file.store, vec![set("small", "value")]).unwrap();
  file.other.execute_batch("VACUUM").unwrap();
  file.shrink();
  for _ in 0..1000 {
    assert_eq!(text(&*file.store, "small").as_deref(), Some("value"));
  }
  assert!(!file.is_mapped());
}

#[test]
fn the_file_may_shrink_and_grow_again() {
  let file = File::new();
  assert_eq!(file.read("old"), KEYS);
  assert!(file.is_mapped());
  file.change(1, |_| MutationKind::Set(Value::Bytes(b"small".into())));
  file.other.execute_batch("VACUUM").unwrap();
  file.shrink();
  assert_eq!(file.read("old"), 0);
  file.write("new", 1);
  file.checkpoint();
  assert_eq!(file.read("new"), KEYS);
  // Nothing of that was an error.
  assert!(file.is_mapped());
}

#[test]
fn a_file_that_is_cut_short_is_an_error_and_no_signal() {
  let file = File::new();
  assert_eq!(file.read("old"), KEYS);
  assert!(file.is_mapped());
  let whole = fs::read(&file.path).unwrap();
  let rude = OpenOptions::new().write(true).open(&file.path).unwrap();
  rude.set_len(1 << 20).unwrap();
  let reads: Vec<_> = (0..KEYS)
    .map(|i| file.store.get_at_once(key(i).as_bytes()).unwrap())
    .collect();
  let damaged = reads.iter().filter(|read| read.is_err()).count();
  assert!(damaged > KEYS / 2, "{damaged}");
  // The copy that failed was of a leaf, and no map has been made since.
  assert!(!file.is_mapped());
  for (i, read) in reads.into_iter().enumerate() {
    if let Ok(held) = read {
      assert_eq!(held.unwrap().value, Value::Bytes(value("old", i).into()));
    }
  }

  // Once the file is whole again, so are the reads, after a commit: until then SQLite keeps what it has read.
  fs::write(&file.path, whole).unwrap();
  commit(&*file.store, vec![set("another", "value")]).unwrap();
  assert_eq!(file.read("old"), KEYS);
}
