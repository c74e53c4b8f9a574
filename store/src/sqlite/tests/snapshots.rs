//! Snapshots that reads keep: nobody sees an old one, and nobody has to wait for one.

use std::sync::atomic::AtomicBool;

use super::*;

const SET: &str =
  "INSERT OR REPLACE INTO kv (k, v, v_encoding, version) VALUES (CAST('key' AS BLOB), ?1, 2, 1)";

fn file() -> (TempDir, Arc<dyn Backend>, Connection) {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  let other = Connection::open(&path).unwrap();
  (folder, store, other)
}

fn number(entry: Option<Held>) -> u64 {
  match entry.unwrap().value {
    Value::U64(number) => number,
    other => panic!("{other:?}"),
  }
}

#[test]
fn reads_in_a_row_see_what_anybody_has_committed() {
  let (_folder, store, other) = file();
  let store = &*store;
  for round in 1..200_u64 {
    if round % 3 == 0 {
      let set = mutation("key", MutationKind::Set(Value::U64(round)));
      commit(store, vec![set]).unwrap();
    } else {
      other.execute(SET, [round.to_le_bytes()]).unwrap();
    }
    // Where nothing is left to be moved to the file, snapshots are kept at once.
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    other.query_row(sql, [], |_| Ok(())).unwrap();
    for _ in 0..10 {
      assert_eq!(number(get(store, "key")), round);
      assert_eq!(number(get_at_once(store, "key")), round);
      let ranges = vec![range("a", "z", 10, false), ReadRange::point("key".into())];
      for found in store
        .snapshot_read(ranges, ReadOptions::default())
        .wait_blocking()
        .unwrap()
      {
        assert_eq!(number(found.first().map(EntryRef::to_held)), round);
      }
    }
  }
}

#[test]
fn who_has_read_and_reads_no_more_lets_go() {
  let (_folder, store, other) = file();
  other.execute(SET, [[0; 8]]).unwrap();
  for _ in 0..100 {
    get(&*store, "key");
  }
  let deadline = Instant::now() + Duration::from_secs(10);
  let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
  while other
    .query_row(sql, [], |row| row.get::<_, i64>(0))
    .unwrap()
    != 0
  {
    assert!(Instant::now() < deadline);
    thread::sleep(Duration::from_millis(5));
  }
}

#[test]
fn constant_reader_lets_log_restart() {
  let (folder, store, other) = file();
  other.pragma_update(None, "synchronous", "off").unwrap();
  let ends = AtomicBool::new(false);
  let reads = AtomicU64::new(0);
  thread::scope(|scope| {
    scope.spawn(|| {
      while !ends.load(Ordering::Relaxed) {
        get(&*store, "key");
        reads.fetch_add(1, Ordering::Relaxed);
      }
    });
    // Each lengthens the log by a page; SQLite makes a checkpoint for every thousand.
    for commit in 0..20_000_u64 {
      other.execute(SET, [commit.to_le_bytes()]).unwrap();
    }
    ends.store(true, Ordering::Relaxed);
  });
  assert!(reads.into_inner() > 1000);
  let log = std::fs::metadata(folder.path().join("kv-wal"))
    .unwrap()
    .len();
  assert!(log < 40 << 20, "{log}");
}
