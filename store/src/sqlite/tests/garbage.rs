//! Rows that nobody has written by this library: damaged ones, and malicious ones. Each is an error or a
//! value; none a panic, a hang, or the end of others.

use proptest::prelude::*;
use rusqlite::params;
use rusqlite::types::Value as Cell;

use super::*;

/// Anything a cell can hold, whatever its column is declared as.
fn cell() -> impl Strategy<Value = Cell> {
  prop_oneof![
    3 => any::<Vec<u8>>().prop_map(Cell::Blob),
    1 => any::<String>().prop_map(Cell::Text),
    2 => prop_oneof![any::<i64>(), -2_i64..5, Just(i64::MAX), Just(i64::MIN)].prop_map(Cell::Integer),
    1 => any::<f64>().prop_map(Cell::Real),
    1 => Just(Cell::Null),
  ]
}

/// A key that is asked for, or any.
fn key_cell() -> impl Strategy<Value = Cell> {
  prop_oneof![
    Just(Cell::Blob(b"a".to_vec())),
    Just(Cell::Blob(b"n".to_vec())),
    cell()
  ]
}

/// A small clone, or anything.
fn value_cell() -> impl Strategy<Value = Cell> {
  prop_oneof![
    any::<Vec<u8>>().prop_map(|rest| Cell::Blob([&[0xff, 15], rest.as_slice()].concat())),
    Just(Cell::Blob(vec![1; 8])),
    cell()
  ]
}

fn json_cell() -> impl Strategy<Value = Cell> {
  prop_oneof![
    Just(Cell::Text("[1,2]".into())),
    Just(Cell::Text("[[2,97,0]]".into())),
    Just(Cell::Text("[-1,1e99,\"x\"]".into())),
    cell()
  ]
}

proptest! {
  #![proptest_config(ProptestConfig::with_cases(48))]

  #[test]
  fn rows_of_garbage_are_errors_or_values(
    rows in prop::collection::vec((key_cell(), value_cell(), cell(), cell(), cell()), 1..6),
    messages in prop::collection::vec((cell(), cell(), value_cell(), json_cell(), json_cell()), 0..4),
    counter in cell(),
  ) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kv");
    drop(open_file(&path, &options()).unwrap());
    let raw = Connection::open(&path).unwrap();
    for (k, v, encoding, version, expiration) in rows {
      let sql = "INSERT OR IGNORE INTO kv (k, v, v_encoding, version, expiration_ms)
        VALUES (?1, ?2, ?3, ?4, ?5)";
      raw.execute(sql, params![k, v, encoding, version, expiration]).unwrap();
    }
    for (ts, id, data, backoff, keys) in messages {
      for table in ["queue (ts", "queue_running (deadline"] {
        let sql = format!(
          "INSERT OR IGNORE INTO {table}, id, data, backoff_schedule, keys_if_undelivered)
           VALUES (?1, ?2, ?3, ?4, ?5)"
        );
        raw.execute(&sql, params![ts, id, data, backoff, keys]).unwrap();
      }
    }
    // A counter that is no number makes commits fail, and nothing else.
    raw.execute("UPDATE OR IGNORE data_version SET version = ?1", [counter]).unwrap();

    let Ok(store) = open_file(&path, &options()) else { return Ok(()) };
    let _ = store.get_at_once(b"a", ReadOptions::default());
    let _ = store.snapshot_read(vec![range("", "\u{10ffff}", 100, false)], ReadOptions::default()).wait_blocking();
    let _ = store.snapshot_read(vec![range("", "\u{10ffff}", 100, true)], ReadOptions::default()).wait_blocking();
    let watcher = store.watch(vec![b"a".to_vec()]).unwrap();
    for kind in [
      MutationKind::Sum(Value::U64(1)),
      MutationKind::Min(Value::U64(1)),
      MutationKind::Set(Value::U64(1)),
      MutationKind::Delete,
    ] {
      let _ = commit(&*store, vec![mutation("n", kind)]);
    }
    let listener = store.listen().unwrap();
    if let Ok(Ok(messages)) = listener.receive(10).try_ready() {
      for message in messages {
        let _ = listener.nack(message.id).wait_blocking();
      }
    }
    listener.close();
    drop(watcher);
    drop(listener);
    drop(store);
    let integrity: String = raw
      .query_row("PRAGMA integrity_check", [], |row| row.get(0))
      .unwrap();
    // What was put there may break what the tables declare; the file is whole all the same.
    prop_assert!(!integrity.contains("malformed"), "{integrity}");
  }
}
