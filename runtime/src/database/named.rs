use std::path::PathBuf;

use anyhow::{Result, bail};
use deno_core::url::Url;
use kv_ext::store::sqlite;

use crate::cli::DatabaseArgs;
use crate::paths;

/// The database that a command works on: a file, or a script's default database.
pub struct NamedDatabase {
  /// The script, if the command named one; the database is its default database.
  pub script: Option<Url>,
  /// The path to open, if one was named.
  pub path: Option<String>,
  /// The database's file; `None` if it is in memory, or on a server.
  pub file: Option<PathBuf>,
}

impl NamedDatabase {
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
  /// The file does not exist, and a command that only reads must not create it.
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

  /// Refuses another program's database, so that looking into it does not add our tables.
  ///
  /// # Errors
  /// The file is a database of another program.
  pub fn must_be_no_other(&self) -> Result<()> {
    match &self.file {
      Some(file) if sqlite::is_of_another_program(file) => bail!(
        "{} is a database of another program: it has tables, and none of Deno KV's",
        file.display()
      ),
      _ => Ok(()),
    }
  }

  /// As a person would name it.
  pub fn name(&self) -> String {
    match (&self.file, self.path.as_deref()) {
      (Some(file), _) => file.display().to_string(),
      (None, Some(":memory:") | None) => "in memory".into(),
      (None, Some(url)) => url.into(),
    }
  }
}
