//! Where things are: modules by URL, and the database that belongs to a script.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use deno_core::url::Url;
use kv_ext::KvOptions;

/// The URL of a script given on the command line.
pub fn module_url(file: &Path) -> Result<Url> {
  if let Some(text) = file.to_str()
    && let Ok(url) = Url::parse(text)
    // A drive letter is no scheme.
    && url.scheme().len() > 1
  {
    if url.scheme() != "file" {
      bail!("{text}: only local files can be run: download it first");
    }
    return Ok(url);
  }
  let path = std::path::absolute(file).with_context(|| file.display().to_string())?;
  let url = Url::from_file_path(&path)
    .map_err(|()| anyhow::anyhow!("{}: not a path that a URL can name", path.display()))?;
  // Parsing resolves `.` and `..`, so that every spelling of a path gives the same URL.
  Ok(Url::parse(url.as_str())?)
}

/// The folder of all default databases: `$KV_DATA_DIR`, or the platform's folder for data.
pub fn data_dir() -> Result<PathBuf> {
  if let Some(dir) = std::env::var_os("KV_DATA_DIR").filter(|dir| !dir.is_empty()) {
    return std::path::absolute(dir).context("KV_DATA_DIR");
  }
  dirs::data_local_dir()
    .map(|dir| dir.join("kv"))
    .context("this system names no folder for data: set KV_DATA_DIR to one")
}

/// How a script's store is opened: a database for each main module.
pub fn kv_options(main_module: &Url) -> Result<KvOptions> {
  let options = KvOptions::default()
    .storage(data_dir()?, main_module.as_str())
    .open_hook(kv_bootstrap::must_not_be_open_as_file);
  // As in Deno, an empty variable counts as unset.
  let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
  let options = match named("DENO_KV_DEFAULT_PATH") {
    Some(name) => options.default_name(name),
    None => options,
  };
  Ok(match named("DENO_KV_PATH_PREFIX") {
    Some(prefix) => options.name_prefix(prefix),
    None => options,
  })
}

/// The file that `Deno.openKv()` opens in a script.
pub fn default_database(main_module: &Url) -> Result<PathBuf> {
  let options = kv_options(main_module)?;
  let file = options.default_file().map(Path::to_path_buf);
  file.context("this script has no default database")
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn every_spelling_of_a_path_gives_one_url() {
    let url = module_url(Path::new("a/b.ts")).unwrap();
    assert_eq!(module_url(Path::new("./a/c/../b.ts")).unwrap(), url);
    assert_eq!(module_url(Path::new(url.as_str())).unwrap(), url);
    assert!(module_url(Path::new("https://example.com/a.ts")).is_err());
  }
}
