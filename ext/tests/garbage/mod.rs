//! What is done with bytes that came from a file, or from a script, and that this library has not written.
//! Each function must return: an error is one way to, a panic is none. `make fuzz` calls them as well.

#![allow(
  clippy::unwrap_used,
  reason = "a promise that is not kept ends the run"
)]

use std::time::Duration;

use deno_core::futures::StreamExt;
use kv_ext::{Key, ListOptions, Selector, Store, Value};
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
      let _ = delivery.fail().await;
    }
    store.set(["works"], 1).await.unwrap();
  });
}
