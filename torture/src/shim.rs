//! Libraries that stand between a program and the system: compiled when they are needed, and loaded with
//! LD_PRELOAD.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Compiles `shim/<name>.c` into a folder; returns the library.
pub fn build(name: &str, folder: &Path) -> Result<PathBuf> {
  let library = folder.join(name).with_extension("so");
  let source = Path::new(env!("CARGO_MANIFEST_DIR"))
    .join("shim")
    .join(name)
    .with_extension("c");
  let built = Command::new("cc")
    .args(["-shared", "-fPIC", "-O2", "-o"])
    .args([&library, &source])
    .arg("-ldl")
    .status()
    .context("the C compiler, cc")?;
  ensure!(built.success(), "{} does not compile", source.display());
  Ok(library)
}
