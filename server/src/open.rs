//! Opens the databases that are served.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use kv_connect::server::{Builder, Server, Tokens};
use kv_store::engine::{Backend, ErrorKind, StoreError};
use kv_store::sqlite::{self, SqliteOptions};

use crate::ServeArgs;

fn options(args: &ServeArgs) -> SqliteOptions {
  let mut options = SqliteOptions::default();
  options.read_only = args.read_only;
  if let Some(bytes) = args.cache_size {
    options.cache_size = bytes;
  }
  options
}

/// A server of what the arguments name, which knows no token yet.
pub(crate) fn databases(args: &ServeArgs) -> Result<Builder> {
  let tokens = Tokens::default();
  let options = options(args);
  match (&args.file, &args.dir) {
    (Some(file), _) => {
      if args.read_only && !file.exists() {
        bail!("there is no database {}", file.display());
      }
      if file.as_os_str() == ":memory:" {
        bail!("a database in memory can't be served");
      }
      if sqlite::is_of_another_program(file) {
        bail!("{}: {FOREIGN}", file.display());
      }
      let backend = sqlite::open_file(file, &options)?;
      Ok(Server::of_database(backend, tokens))
    }
    (None, Some(folder)) => {
      if !folder.is_dir() {
        bail!("{} is not a folder", folder.display());
      }
      // Files are opened without following links.
      let folder = folder
        .canonicalize()
        .with_context(|| folder.display().to_string())?;
      let opener = move |name: String, may_create: bool| {
        let file = folder.join(format!("{name}.sqlite3"));
        let options = options.clone();
        Box::pin(async move { open(file, may_create, options).await }) as _
      };
      Ok(Server::of_databases(Arc::new(opener), tokens))
    }
    // clap has seen to it.
    (None, None) => bail!("there is nothing to serve: name a file, or a folder with --dir"),
  }
}

async fn open(
  file: PathBuf,
  may_create: bool,
  options: SqliteOptions,
) -> Result<Option<Arc<dyn Backend>>, StoreError> {
  if !may_create && !file.exists() {
    return Ok(None);
  }
  if sqlite::is_of_another_program(&file) {
    return Err(StoreError::new(ErrorKind::NotADatabase, FOREIGN));
  }
  sqlite::open_file_on_thread(file, options).await.map(Some)
}

/// Serving such a database would add our tables to it.
const FOREIGN: &str = "it is a database of another program: it has tables, and none of Deno KV's";

/// What is served, for people.
pub(crate) fn shown(args: &ServeArgs) -> String {
  let path = args.file.as_deref().or(args.dir.as_deref());
  path.unwrap_or(Path::new("")).display().to_string()
}
