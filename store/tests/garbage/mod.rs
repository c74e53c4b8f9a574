//! What is done with bytes that came from a file, or from a script, and that this library has not written.
//! Each function must return: an error is one way to, a panic is none. `make fuzz` calls them as well.

#![allow(
  clippy::unwrap_used,
  reason = "a promise that is not kept ends the run"
)]

use std::time::Duration;

use futures::StreamExt;
use kv_store::{Key, ListOptions, Selector, Store, Value};
use rusqlite::types::Value as Cell;

/// A key in a file: what can be read of it is written the same way again.
pub fn key(bytes: &[u8]) {
  if let Ok(key) = Key::decode(bytes) {
    let encoded = key.encode().unwrap();
    assert_eq!(Key::decode(&encoded).unwrap().encode().unwrap(), encoded);
    assert!(!format!("{key}").is_empty());
  }
}

/// A cursor, which a script may have made up: it leads nowhere outside its list.
pub fn cursor(bytes: &[u8]) {
  let mut parts = bytes.splitn(3, |byte| *byte == b'|');
  let mut part = || parts.next().unwrap_or_default().to_vec();
  let (start, end) = (part(), part());
  let Ok(cursor) = String::from_utf8(part()) else {
    return;
  };
  let prefix = Selector::new(Some(start.clone()), None, None);
  let range = Selector::new(None, Some(start), Some(end));
  for selector in [prefix, range].into_iter().flatten() {
    let (first, last) = selector.range(None, false).unwrap();
    for reverse in [false, true] {
      if let Ok((start, end)) = selector.range(Some(&cursor), reverse) {
        assert!(start >= first && end <= last);
      }
    }
    for key in [&first, &last] {
      if let Ok(cursor) = selector.cursor(key) {
        selector.range(Some(&cursor), true).unwrap();
      }
    }
  }
}

/// A value in a file: what can be read of it is written, and read as the same again.
pub fn value(bytes: &[u8]) {
  for encoding in 0..4 {
    let value = Value::from_stored(bytes, encoding);
    let _ = value.deserialize::<serde_json::Value>();
    if let Ok(read) = value.to_js() {
      let written = Value::from(read.clone()).to_js().unwrap();
      // NaN is not equal to itself.
      assert_eq!(format!("{read:?}"), format!("{written:?}"));
    }
  }
}

/// A cell of a row, from the bytes; what is left of them is for the next.
fn cell(bytes: &mut &[u8]) -> Cell {
  let mut take = |count: usize| {
    let (taken, rest) = bytes.split_at(count.min(bytes.len()));
    *bytes = rest;
    taken.to_vec()
  };
  let kind = take(1).first().copied().unwrap_or(0);
  let length = usize::from(kind >> 3);
  let number = |bytes: Vec<u8>| {
    let mut eight = [0; 8];
    eight[..bytes.len()].copy_from_slice(&bytes);
    i64::from_le_bytes(eight)
  };
  match kind & 7 {
    0 => Cell::Null,
    1 => Cell::Integer(i64::from(kind >> 3) - 2),
    2 => Cell::Integer(number(take(8))),
    3 => Cell::Real(f64::from_bits(number(take(8)) as u64)),
    4 => Cell::Text(String::from_utf8_lossy(&take(length)).into_owned()),
    _ => Cell::Blob(take(length)),
  }
}

/// Rows of a file, of any types: whoever reads, writes, watches and listens gets answers.
pub fn rows(bytes: &[u8]) {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  drop(Store::open(&path).unwrap());
  let raw = rusqlite::Connection::open(&path).unwrap();
  raw.execute_batch("PRAGMA synchronous = OFF").unwrap();
  let mut rest = bytes;
  for _ in 0..8 {
    let columns: [Cell; 5] = std::array::from_fn(|_| cell(&mut rest));
    let table = match rest.first().map(|byte| byte % 4) {
      None => break,
      Some(0) => "queue (ts, id, data, backoff_schedule, keys_if_undelivered)",
      Some(1) => "queue_running (deadline, id, data, backoff_schedule, keys_if_undelivered)",
      Some(_) => "kv (k, v, v_encoding, version, expiration_ms)",
    };
    let sql = format!("INSERT OR IGNORE INTO {table} VALUES (?1, ?2, ?3, ?4, ?5)");
    // The tables take almost anything; what they refuse is not in them.
    let _ = raw.execute(&sql, rusqlite::params_from_iter(columns));
  }
  drop(raw);
  let Ok(store) = Store::open(&path) else {
    return;
  };
  let runtime = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  runtime.block_on(async {
    for reverse in [false, true] {
      let selector = Selector::prefix(&Key::default()).unwrap();
      let options = match reverse {
        false => ListOptions::default(),
        true => ListOptions::default().reverse(),
      };
      let mut list = store.list(selector, options);
      while let Some(Ok(entry)) = list.next().await {
        let _ = store.get(entry.key.clone()).await;
        let _ = entry.value.to_js();
        let _ = store.atomic().sum(entry.key.clone(), 1).commit().await;
        let _ = store.delete(entry.key).await;
      }
    }
    let mut deliveries = store.listen(10);
    let wait = Duration::from_millis(5);
    while let Ok(Some(Ok(delivery))) = tokio::time::timeout(wait, deliveries.next()).await {
      let _ = delivery.nack().await;
    }
    store.set(["works"], 1).await.unwrap();
  });
}

/// Parts of schemas that this library does not make.
const PARTS: [&str; 40] = [
  "k BLOB",
  "k TEXT",
  "k",
  "k INTEGER",
  "k BLOB COLLATE NOCASE",
  "v BLOB",
  "v TEXT",
  "v NUMERIC",
  "v",
  "v_encoding INTEGER",
  "v_encoding",
  "version INTEGER",
  "version TEXT",
  "version REAL",
  "seq INTEGER DEFAULT 0",
  "expiration_ms INTEGER DEFAULT -1",
  "expiration_ms TEXT DEFAULT -1",
  "expiration_ms INTEGER DEFAULT 1",
  "more BLOB DEFAULT x'00'",
  "more INTEGER NOT NULL",
  "NOT NULL",
  "PRIMARY KEY",
  "PRIMARY KEY DESC",
  "PRIMARY KEY ON CONFLICT IGNORE",
  "UNIQUE",
  "DEFAULT 5",
  "CHECK (version < 3)",
  "AS (v)",
  "GENERATED ALWAYS AS (v) STORED",
  "/**/",
  "REFERENCES queue (id)",
  "INTEGER",
  "WITHOUT ROWID",
  "STRICT",
  "CREATE TRIGGER t AFTER INSERT ON kv BEGIN DELETE FROM kv; END",
  "CREATE TRIGGER t BEFORE INSERT ON kv BEGIN SELECT RAISE(IGNORE); END",
  "CREATE VIEW w AS SELECT * FROM kv",
  "CREATE UNIQUE INDEX i ON kv (version)",
  "CREATE INDEX i ON kv (abs(version)) WHERE v > 1",
  "CREATE TABLE other (a REFERENCES kv (k) ON DELETE CASCADE)",
];

/// The statement of a table, with parts in the places of its columns and behind them.
fn table(bytes: &mut &[u8]) -> String {
  let mut next = || {
    let (byte, rest) = bytes.split_first().unwrap_or((&0, &[]));
    *bytes = rest;
    usize::from(*byte)
  };
  let usual = [
    "k BLOB PRIMARY KEY",
    "v BLOB NOT NULL",
    "v_encoding INTEGER NOT NULL",
    "version INTEGER NOT NULL",
    "seq INTEGER NOT NULL DEFAULT 0",
    "expiration_ms INTEGER NOT NULL DEFAULT -1",
  ];
  let mut columns = Vec::new();
  for column in usual {
    match next() % 6 {
      0 => columns.push(format!(
        "{} {}",
        PARTS[next() % PARTS.len()],
        PARTS[next() % PARTS.len()]
      )),
      1 => columns.push(format!("{column} {}", PARTS[next() % PARTS.len()])),
      _ => columns.push(column.to_owned()),
    }
  }
  let end = [
    "WITHOUT ROWID",
    "WITHOUT ROWID",
    "",
    "STRICT",
    "WITHOUT ROWID, STRICT",
  ][next() % 5];
  format!("CREATE TABLE kv ({}) {end}", columns.join(", "))
}

/// A file with another schema: it is refused, or what is acknowledged is there.
pub fn schema(bytes: &[u8]) {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  drop(Store::open(&path).unwrap());
  let raw = rusqlite::Connection::open(&path).unwrap();
  raw.execute_batch("PRAGMA synchronous = OFF").unwrap();
  let mut rest = bytes;
  let (first, _) = rest.split_first().unwrap_or((&0, &[]));
  if first % 3 > 0 {
    // What SQLite refuses is not in the file.
    let made = table(&mut rest);
    let _ = raw.execute_batch(&format!("BEGIN; DROP TABLE kv; {made}; COMMIT"));
    if !raw.is_autocommit() {
      raw.execute_batch("ROLLBACK").unwrap();
    }
  }
  for byte in rest.iter().take(3) {
    let _ = raw.execute_batch(PARTS[usize::from(*byte) % PARTS.len()]);
  }
  drop(raw);
  let Ok(store) = Store::open(&path) else {
    return;
  };
  let runtime = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  runtime.block_on(async {
    let keys = [
      Key::from(["b"]),
      Key::from(["B"]),
      Key::from(["a"]),
      Key::from([1]),
    ];
    let mut expected = std::collections::BTreeMap::new();
    for (n, key) in keys.iter().chain(&keys[..2]).enumerate() {
      if store.set(key.clone(), n as f64).await.is_ok() {
        expected.insert(key.encode().unwrap(), n as f64);
      }
      for (key, value) in &expected {
        let entry = store.get(Key::decode(key).unwrap()).await.unwrap().unwrap();
        assert_eq!(entry.value.deserialize::<f64>().unwrap(), *value);
      }
    }
    let entries = store.list(
      Selector::prefix(&Key::default()).unwrap(),
      ListOptions::default(),
    );
    let entries: Vec<_> = entries.collect().await;
    let listed: Vec<_> = entries
      .into_iter()
      .map(|entry| {
        let entry = entry.unwrap();
        (
          entry.key.encode().unwrap(),
          entry.value.deserialize::<f64>().unwrap(),
        )
      })
      .collect();
    assert_eq!(listed, expected.into_iter().collect::<Vec<_>>());
    for key in keys {
      if store.delete(key.clone()).await.is_ok() {
        assert!(store.get(key).await.unwrap().is_none());
      }
    }
  });
}
