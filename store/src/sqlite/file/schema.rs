//! The tables: those of the files that Deno 2 writes, so that either program opens the other's.
//!
//! `migration_state` holds the version of the format, 1 to 3; each version is a step from the one
//! before. `keys_if_undelivered` is declared a blob there and holds JSON text.
//!
//! One thing is not Deno's: in files made here, the index on `expiration_ms` holds only rows that
//! expire, so that a write of others has one tree less to change. Deno removes expired rows by
//! `expiration_ms >= 0`, and uses it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

/// The steps that lead to the newest format this program knows.
const MIGRATIONS: [&str; 3] = [
  "CREATE TABLE data_version (k INTEGER PRIMARY KEY, version INTEGER NOT NULL);
   INSERT INTO data_version (k, version) VALUES (0, 0);
   CREATE TABLE kv (
     k BLOB PRIMARY KEY,
     v BLOB NOT NULL,
     v_encoding INTEGER NOT NULL,
     version INTEGER NOT NULL
   ) WITHOUT ROWID;",
  "CREATE TABLE queue (
     ts INTEGER NOT NULL,
     id TEXT NOT NULL,
     data BLOB NOT NULL,
     backoff_schedule TEXT NOT NULL,
     keys_if_undelivered BLOB NOT NULL,
     PRIMARY KEY (ts, id)
   );
   CREATE TABLE queue_running (
     deadline INTEGER NOT NULL,
     id TEXT NOT NULL,
     data BLOB NOT NULL,
     backoff_schedule TEXT NOT NULL,
     keys_if_undelivered BLOB NOT NULL,
     PRIMARY KEY (deadline, id)
   );",
  "ALTER TABLE kv ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE data_version ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE kv ADD COLUMN expiration_ms INTEGER NOT NULL DEFAULT -1;
   CREATE INDEX kv_expiration_ms_idx ON kv (expiration_ms) WHERE expiration_ms >= 0;",
];

/// The newest format version this program knows.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

const VERSION_TABLE: &str = "migration_state";

/// The tables, by the names that nothing else may have.
const TABLES: [&str; 5] = [
  VERSION_TABLE,
  "data_version",
  "kv",
  "queue",
  "queue_running",
];

/// Tables of this store that are not Deno's, made when they are needed, with their statements in lower case and without
/// spaces.
const OWN: [(&str, &str); 2] = [
  (
    "kv_write_ids",
    "createtablekv_write_ids(idblobprimarykey,versionintegernotnull,forget_atintegernotnull)withoutrowid",
  ),
  (
    "kv_database_id",
    "createtablekv_database_id(kintegerprimarykey,idblobnotnull)",
  ),
];

/// The index on one of them.
const OWN_INDEX: &str = "createindexkv_write_ids_forget_atonkv_write_ids(forget_at)";

/// What a table of ours never declares, and what would change the meaning of a write, or run an expression.
const FOREIGN_CLAUSES: [&str; 7] = [
  "on conflict",
  "check",
  "generated",
  " as (",
  "references",
  "collate",
  "unique",
];

/// The statements of the tables of the newest version, in lower case and without spaces, in which Deno's
/// differ.
const KNOWN: [&str; 5] = [
  "createtablemigration_state(kintegernotnullprimarykey,versionintegernotnull)",
  "createtabledata_version(kintegerprimarykey,versionintegernotnull,seqintegernotnulldefault0)",
  "createtablekv(kblobprimarykey,vblobnotnull,v_encodingintegernotnull,versionintegernotnull,\
   seqintegernotnulldefault0,expiration_msintegernotnulldefault-1)withoutrowid",
  "createtablequeue(tsintegernotnull,idtextnotnull,datablobnotnull,backoff_scheduletextnotnull,\
   keys_if_undeliveredblobnotnull,primarykey(ts,id))",
  "createtablequeue_running(deadlineintegernotnull,idtextnotnull,datablobnotnull,backoff_scheduletextnotnull,\
   keys_if_undeliveredblobnotnull,primarykey(deadline,id))",
];

/// The result of a look at a schema.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
  /// Its tables are those of the newest version.
  Known,
  /// Nothing is wrong with it so far.
  Unknown,
  /// Something in it would change the effect of this store's statements.
  Foreign(String),
}

/// Looks for foreign objects on the tables of this store, and reads the format version: 0 for a file with no tables
/// of ours. Other tables may exist.
pub(crate) fn look(connection: &Connection) -> rusqlite::Result<(Look, i64)> {
  let mut statement =
    connection.prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema")?;
  let mut rows = statement.query([])?;
  let (mut known, mut has_version) = (0, false);
  while let Some(row) = rows.next()? {
    let column = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str()?.to_lowercase());
    let (kind, name, table, sql) = (column(0)?, column(1)?, column(2)?, column(3)?);
    has_version |= kind == "table" && name == VERSION_TABLE;
    if kind == "table" && KNOWN.contains(&sql.split_whitespace().collect::<String>().as_str()) {
      known += 1;
      continue;
    }
    let sql = sql.as_str();
    if let Some((_, own)) = OWN.iter().find(|(own, _)| *own == name || *own == table) {
      let statement = sql.split_whitespace().collect::<String>();
      let is_own = match kind.as_str() {
        "table" => statement == *own,
        "index" => statement.is_empty() || statement == OWN_INDEX,
        _ => false,
      };
      if !is_own {
        return Ok((
          Look::Foreign(format!("its {kind} {name} is not as kv makes it")),
          0,
        ));
      }
      continue;
    }
    if let Some(reason) = foreign(&kind, &name, &table, sql) {
      return Ok((Look::Foreign(reason), 0));
    }
  }
  let version = if has_version {
    stored_version(connection)?
  } else {
    0
  };
  let look = if known == KNOWN.len() {
    Look::Known
  } else {
    Look::Unknown
  };
  Ok((look, version))
}

/// Why an object of the schema is foreign, if it would change the effect of this store's statements.
fn foreign(kind: &str, name: &str, table: &str, sql: &str) -> Option<String> {
  let sql: Vec<&str> = sql.split_whitespace().collect();
  let sql = sql.join(" ");
  let is_ours = TABLES.contains(&name);
  if is_ours && (kind != "table" || sql.starts_with("create virtual")) {
    return Some(format!(
      "its {name} is not the table that Deno KV makes, but a {kind}"
    ));
  }
  if !TABLES.contains(&table) {
    return None;
  }
  if kind == "trigger" {
    return Some(format!(
      "it has a trigger, {name}, on the table {table}, which Deno KV has not made: drop it first"
    ));
  }
  let clause = FOREIGN_CLAUSES
    .iter()
    .find(|clause| sql.contains(**clause))?;
  Some(format!(
    "its {kind} {name} is not as Deno KV makes it: it has \"{}\"",
    clause.trim()
  ))
}

/// The columns that statements of this store use, with their types: others would change what is stored.
const COLUMNS: [(&str, &[(&str, &str)]); 4] = [
  ("data_version", &[("k", "INTEGER"), ("version", "INTEGER")]),
  (
    "kv",
    &[
      ("k", "BLOB"),
      ("v", "BLOB"),
      ("v_encoding", "INTEGER"),
      ("version", "INTEGER"),
      ("expiration_ms", "INTEGER"),
    ],
  ),
  (
    "queue",
    &[
      ("ts", "INTEGER"),
      ("id", "TEXT"),
      ("data", "BLOB"),
      ("backoff_schedule", "TEXT"),
      ("keys_if_undelivered", "BLOB"),
    ],
  ),
  (
    "queue_running",
    &[
      ("deadline", "INTEGER"),
      ("id", "TEXT"),
      ("data", "BLOB"),
      ("backoff_schedule", "TEXT"),
      ("keys_if_undelivered", "BLOB"),
    ],
  ),
];

/// A column that is missing from a file of the newest version, or has another type.
pub(crate) fn missing(connection: &Connection) -> rusqlite::Result<Option<String>> {
  let sql = "SELECT name, upper(type) FROM pragma_table_xinfo(?1) WHERE hidden = 0";
  let mut statement = connection.prepare(sql)?;
  for (table, columns) in COLUMNS {
    let found = statement
      .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
      .collect::<Result<Vec<(String, String)>, _>>()?;
    for (name, kind) in columns {
      if !found
        .iter()
        .any(|found| found.0 == *name && found.1 == *kind)
      {
        return Ok(Some(format!(
          "its table {table} is not as Deno KV makes it: it has no column {name} of the type {kind}"
        )));
      }
    }
  }
  Ok(None)
}

/// Whether a file has tables, and none of Deno KV's.
pub(crate) fn is_foreign_database(path: &Path) -> rusqlite::Result<bool> {
  let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
  let connection = Connection::open_with_flags(path, flags)?;
  connection.query_row(
    "SELECT count(*) > 0 AND sum(name = 'migration_state') = 0 FROM sqlite_schema",
    [],
    |row| row.get(0),
  )
}

/// The format version, of a file that has a table for it.
fn stored_version(connection: &Connection) -> rusqlite::Result<i64> {
  connection
    .query_row(
      "SELECT version FROM migration_state WHERE k = 0",
      [],
      |row| row.get(0),
    )
    .optional()
    .map(Option::unwrap_or_default)
}

/// Takes the file to the newest version, in one transaction: another process may do the same.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
  migrate_to(connection, NEWEST)
}

/// The same, to a version that may be an older one: tests need files of every age.
pub(crate) fn migrate_to(connection: &mut Connection, target: i64) -> rusqlite::Result<()> {
  let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
  transaction.execute_batch(
    "CREATE TABLE IF NOT EXISTS migration_state (
       k INTEGER NOT NULL PRIMARY KEY,
       version INTEGER NOT NULL
     )",
  )?;
  let reached = stored_version(&transaction)?;
  for (step, migration) in (1..=target).zip(MIGRATIONS) {
    if step > reached {
      transaction.execute_batch(migration)?;
      transaction.execute(
        "REPLACE INTO migration_state (k, version) VALUES (0, ?1)",
        [step],
      )?;
    }
  }
  transaction.commit()
}
