//! Files that somebody else has made, or damaged.

use super::*;

/// A file of ours, changed by `sql`, opened.
fn opened(sql: &str) -> Result<(Arc<dyn Backend>, TempDir), StoreError> {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  commit(&*store, vec![set("a", "1"), set("b", "2"), set("c", "3")]).unwrap();
  drop(store);
  Connection::open(&path).unwrap().execute_batch(sql).unwrap();
  Ok((open_file(&path, &options())?, folder))
}

fn refused(sql: &str) -> String {
  match opened(sql) {
    Ok(_) => panic!("opened: {sql}"),
    Err(error) => error.to_string(),
  }
}

#[test]
fn foreign_schema_is_refused_and_named() {
  for (sql, named) in [
    (
      "CREATE TRIGGER ignore BEFORE INSERT ON kv BEGIN SELECT RAISE(IGNORE); END",
      "a trigger, ignore, on the table kv",
    ),
    (
      "CREATE TRIGGER t AFTER UPDATE ON data_version BEGIN DELETE FROM kv; END",
      "a trigger, t, on the table data_version",
    ),
    (
      "DROP TABLE kv; CREATE VIEW kv AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) \
       SELECT i AS k, i AS v, i AS v_encoding, i AS version, i AS seq, i AS expiration_ms FROM n",
      "its kv is not the table that Deno KV makes, but a view",
    ),
    (
      "DROP TABLE migration_state; CREATE VIEW migration_state AS SELECT 0 AS k, 3 AS version",
      "its migration_state is not the table",
    ),
    ("CREATE UNIQUE INDEX one ON kv (k, version)", "index one"),
    (
      "DROP TABLE kv; CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL ON CONFLICT IGNORE, \
       v_encoding INTEGER, version INTEGER, seq INTEGER, expiration_ms INTEGER) WITHOUT ROWID",
      "on conflict",
    ),
    (
      "CREATE TABLE kv_write_ids (x)",
      "its table kv_write_ids is not as kv makes it",
    ),
    (
      "CREATE VIEW kv_database_id AS SELECT 0 AS k, x'00' AS id",
      "its view kv_database_id is not as kv makes it",
    ),
    (
      "CREATE TABLE kv_database_id (k INTEGER PRIMARY KEY, id BLOB NOT NULL CHECK (length(id) > 2))",
      "its table kv_database_id",
    ),
  ] {
    let error = refused(sql);
    assert!(error.contains(named), "{sql}: {error}");
  }
  // What concerns no table of ours is nobody's business.
  let (store, _folder) = opened(
    "CREATE TABLE notes (n); CREATE VIEW kvs AS SELECT k FROM kv; \
     CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT 1; END",
  )
  .unwrap();
  commit(&*store, vec![set("a", "2")]).unwrap();
}

#[test]
fn non_numeric_times_do_not_block_open() {
  for time in ["'soon'", "1.5", "x'00'", "9e99"] {
    let (store, _folder) = opened(&format!(
      "UPDATE kv SET expiration_ms = {time} WHERE v = x'32'"
    ))
    .unwrap();
    assert_eq!(text(&*store, "a").as_deref(), Some("1"));
    let mut expiring = set("d", "4");
    expiring.expire_at = Some(1);
    commit(&*store, vec![expiring]).unwrap();
    // It is removed, behind the row that has no time.
    let deadline = Instant::now() + Duration::from_secs(5);
    let path = _folder.path().join("kv");
    let rows = || -> i64 {
      let sql = "SELECT count(*) FROM kv WHERE k = CAST('d' AS BLOB)";
      Connection::open(&path)
        .unwrap()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
    };
    while rows() > 0 {
      assert!(Instant::now() < deadline, "{time}");
      thread::sleep(Duration::from_millis(20));
    }
  }
}

/// A tree whose leaf names itself as what comes before it, as a bit that has flipped may make it.
#[test]
fn a_range_whose_keys_do_not_advance_ends() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let store = open_file(&path, &options()).unwrap();
  let many: Vec<_> = (0..300)
    .map(|i| set(&format!("k{i:03}"), &"v".repeat(500)))
    .collect();
  commit(&*store, many).unwrap();
  drop(store);
  let connection = Connection::open(&path).unwrap();
  let root: i64 = connection
    .query_row(
      "SELECT rootpage FROM sqlite_schema WHERE name = 'kv'",
      [],
      |row| row.get(0),
    )
    .unwrap();
  drop(connection);
  // All children of the root are its first one.
  let mut bytes = std::fs::read(&path).unwrap();
  let page = (root as usize - 1) * 4096;
  assert_eq!(bytes[page], 2, "an inner page of an index");
  let cells = u16::from_be_bytes([bytes[page + 3], bytes[page + 4]]) as usize;
  let cell = |i: usize| {
    page + u16::from_be_bytes([bytes[page + 12 + 2 * i], bytes[page + 13 + 2 * i]]) as usize
  };
  let cells: Vec<_> = (0..cells).map(cell).collect();
  let first: Vec<u8> = bytes[cells[0]..cells[0] + 4].to_vec();
  for cell in &cells[1..] {
    bytes[*cell..cell + 4].copy_from_slice(&first);
  }
  std::fs::write(&path, bytes).unwrap();
  let store = open_file(&path, &options()).unwrap();
  for reverse in [false, true] {
    let read = store
      .snapshot_read(vec![range("k", "l", 1000, reverse)], ReadOptions::default())
      .wait_blocking();
    let error = match read {
      Err(error) => error.to_string(),
      Ok(found) => panic!("{} entries", found[0].len()),
    };
    assert!(error.contains("malformed"), "{error}");
  }
}

#[cfg(unix)]
#[test]
fn a_file_of_two_names_and_a_folder_are_refused() {
  let folder = TempDir::new().unwrap();
  let path = folder.path().join("kv");
  drop(open_file(&path, &options()).unwrap());
  std::fs::hard_link(&path, folder.path().join("other")).unwrap();
  for name in ["kv", "other"] {
    let error = open_file(&folder.path().join(name), &options())
      .err()
      .unwrap()
      .to_string();
    assert!(error.contains("2 names (hard links)"), "{error}");
  }
  std::fs::remove_file(folder.path().join("other")).unwrap();
  drop(open_file(&path, &options()).unwrap());
  let error = open_file(
    Path::new(&format!("{}/no/", folder.path().display())),
    &options(),
  );
  assert!(error.err().unwrap().to_string().contains("it is a folder"));
  let long = folder.path().join("x".repeat(250)).join("y".repeat(250));
  std::fs::create_dir_all(&long).unwrap();
  let error = open_file(&long.join("kv"), &options())
    .err()
    .unwrap()
    .to_string();
  assert!(error.contains("bytes, and SQLite takes"), "{error}");
}
