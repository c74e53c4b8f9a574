use rusqlite::{CachedStatement, Connection};

/// The statements of atomic writes, looked up once for a group.
pub(super) struct Statements<'c> {
  pub(super) connection: &'c Connection,
  pub(super) version_of: Option<CachedStatement<'c>>,
  pub(super) value_of: Option<CachedStatement<'c>>,
  pub(super) set: Option<CachedStatement<'c>>,
  pub(super) delete: Option<CachedStatement<'c>>,
}

impl<'c> Statements<'c> {
  pub(super) fn new(connection: &'c Connection) -> Self {
    Self {
      connection,
      version_of: None,
      value_of: None,
      set: None,
      delete: None,
    }
  }
}

/// The statement in `slot`, which is put there if it is empty.
pub(super) fn statement<'s, 'c>(
  slot: &'s mut Option<CachedStatement<'c>>,
  connection: &'c Connection,
  sql: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'c>> {
  match slot {
    Some(statement) => Ok(statement),
    None => Ok(slot.insert(connection.prepare_cached(sql)?)),
  }
}

/// Runs a statement without parameters or result.
pub(super) fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
  connection.prepare_cached(statement)?.execute([])?;
  Ok(())
}
