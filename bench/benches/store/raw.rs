use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

/// rusqlite on one connection in the calling thread: the same statements, and nothing around them.
pub struct Raw {
  connection: Connection,
}

const POINT: &str = "SELECT v, v_encoding, version FROM kv
  WHERE k = ?1 AND (+expiration_ms < 0 OR +expiration_ms > ?2)";
const RANGE: &str = "SELECT v, v_encoding, version, k FROM kv
  WHERE k >= ?1 AND k < ?2 AND (+expiration_ms < 0 OR +expiration_ms > ?3)
  ORDER BY k LIMIT ?4";
const SET: &str = "INSERT INTO kv (k, v, v_encoding, version, expiration_ms)
  VALUES (?1, ?2, ?3, ?4, ?5)
  ON CONFLICT (k) DO UPDATE SET
    v = excluded.v, v_encoding = excluded.v_encoding,
    version = excluded.version, expiration_ms = excluded.expiration_ms";

/// Value, encoding, version, key.
pub type Row = (Vec<u8>, i64, i64, Vec<u8>);

impl Raw {
  pub fn open(path: &Path) -> Self {
    let connection = Connection::open(path).unwrap();
    connection
      .pragma_update(None, "journal_mode", "wal")
      .unwrap();
    connection
      .pragma_update(None, "synchronous", "full")
      .unwrap();
    connection.set_prepared_statement_cache_capacity(32);
    Self { connection }
  }

  pub fn get(&self, key: &[u8]) -> Option<(Vec<u8>, i64, i64)> {
    self
      .connection
      .prepare_cached(POINT)
      .unwrap()
      .query_row(params![key, 1_000_000_i64], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
      })
      .optional()
      .unwrap()
  }

  pub fn range(&self, start: &[u8], end: &[u8], limit: u32) -> Vec<Row> {
    self
      .connection
      .prepare_cached(RANGE)
      .unwrap()
      .query_map(params![start, end, 1_000_000_i64, limit], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
      })
      .unwrap()
      .collect::<Result<_, _>>()
      .unwrap()
  }

  /// Sets all keys in one transaction.
  pub fn commit(&mut self, keys: &[Vec<u8>], value: &[u8]) {
    let run = |sql: &str| {
      let mut statement = self.connection.prepare_cached(sql).unwrap();
      statement.execute([]).unwrap();
    };
    run("BEGIN IMMEDIATE");
    let version: i64 = self
      .connection
      .prepare_cached("SELECT version FROM data_version WHERE k = 0")
      .unwrap()
      .query_row([], |row| row.get(0))
      .unwrap();
    let mut set = self.connection.prepare_cached(SET).unwrap();
    for (key, version) in keys.iter().zip(version + 1..) {
      set.execute(params![key, value, 1, version, -1]).unwrap();
    }
    self
      .connection
      .prepare_cached("UPDATE data_version SET version = ?1 WHERE k = 0")
      .unwrap()
      .execute([version + keys.len() as i64])
      .unwrap();
    run("COMMIT");
  }
}
