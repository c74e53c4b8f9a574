use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use deno_core::url::Url;
use rusqlite::{Connection, OpenFlags};

use crate::cli::DatabaseArgs;
use crate::paths;

/// Which database a command was given: a file, or that of a script.
pub struct Location {
  /// The script, if one was named: its default database it is.
  pub script: Option<Url>,
  /// The path to open, if one was named.
  pub path: Option<String>,
  /// The file, wherever it came from. None: it is in memory.
  pub file: Option<PathBuf>,
}

impl Location {
  /// # Errors
  /// The script's path names no module, or the path is not UTF-8.
  pub fn new(args: &DatabaseArgs) -> Result<Self> {
    if let Some(script) = &args.script {
      let url = paths::module_url(script)?;
      return Ok(Self {
        file: Some(paths::default_database(&url)?),
        script: Some(url),
        path: None,
      });
    }
    let path = args.db.clone().unwrap_or_else(|| ":memory:".into());
    let file = match kv_ext::Location::parse(&path)? {
      kv_ext::Location::File(file) => Some(file),
      _ => None,
    };
    Ok(Self {
      script: None,
      path: Some(path),
      file,
    })
  }

  /// Whether there is a database to read.
  pub fn exists(&self) -> bool {
    self.file.as_ref().is_none_or(|file| file.exists())
  }

  /// # Errors
  /// There is no such file: a command that reads makes none.
  pub fn must_exist(&self) -> Result<()> {
    match (&self.file, &self.script) {
      (Some(file), _) if file.exists() => Ok(()),
      (Some(file), Some(script)) => bail!(
        "{script} has no database yet: a run that calls Deno.openKv() makes it ({})",
        file.display()
      ),
      (Some(file), None) => bail!("there is no database {}", file.display()),
      (None, _) => Ok(()),
    }
  }

  /// Whoever looks into a database of another program must not find tables of ours in it afterwards.
  ///
  /// # Errors
  /// The file holds something else.
  pub fn must_be_no_other(&self) -> Result<()> {
    match &self.file {
      Some(file) if file.is_file() && is_other(file).unwrap_or(false) => bail!(
        "{} is a database of another program: it has tables, and none of Deno KV's",
        file.display()
      ),
      _ => Ok(()),
    }
  }

  /// As a person would name it.
  pub fn name(&self) -> String {
    match &self.file {
      Some(file) => file.display().to_string(),
      None => "in memory".into(),
    }
  }
}

/// Whether the file has tables, and not ours. What else may be wrong with it is said when it is opened.
fn is_other(file: &Path) -> rusqlite::Result<bool> {
  let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
  connection.query_row(
    "SELECT count(*) > 0 AND sum(name = 'migration_state') = 0 FROM sqlite_schema",
    [],
    |row| row.get(0),
  )
}
