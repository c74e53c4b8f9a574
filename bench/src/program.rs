//! The programs that scripts are measured on.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The access token of the servers that are measured, which programs find in their environment.
pub const TOKEN: &str = "the-token-of-the-benchmark";

/// A program that runs scripts.
pub struct Program {
  pub name: &'static str,
  pub binary: PathBuf,
  /// What comes before the script.
  arguments: &'static [&'static str],
}

impl Program {
  pub fn kv(name: &'static str, binary: &Path) -> Result<Self> {
    Self::new(name, binary, &["run"])
  }

  /// The same, with SQLite's map of the file.
  pub fn kv_mapped(name: &'static str, binary: &Path) -> Result<Self> {
    Self::new(name, binary, &["run", "--mmap-size", "2000000000"])
  }

  pub fn deno(name: &'static str, binary: &Path) -> Result<Self> {
    let arguments = &["run", "-A", "--unstable-kv", "--no-check", "--quiet"];
    Self::new(name, binary, arguments)
  }

  fn new(name: &'static str, binary: &Path, arguments: &'static [&'static str]) -> Result<Self> {
    Ok(Self {
      name,
      binary: binary
        .canonicalize()
        .with_context(|| binary.display().to_string())?,
      arguments,
    })
  }

  /// Runs a script of this crate in `folder`; returns what it prints.
  pub fn run(&self, script: &str, folder: &Path, arguments: &[String]) -> Result<String> {
    let output = Command::new(&self.binary)
      .args(self.arguments)
      .arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
          .join("scripts")
          .join(script),
      )
      .args(arguments)
      .current_dir(folder)
      .env("KV_DATA_DIR", folder)
      .env("NO_COLOR", "1")
      .env("DENO_KV_ACCESS_TOKEN", TOKEN)
      .stderr(Stdio::inherit())
      .output()
      .with_context(|| self.binary.display().to_string())?;
    if !output.status.success() {
      bail!("{}: {script} failed", self.name);
    }
    Ok(String::from_utf8(output.stdout)?)
  }

  /// Runs a script that prints one number.
  pub fn measure(&self, script: &str, folder: &Path, arguments: &[String]) -> Result<f64> {
    let printed = self.run(script, folder, arguments)?;
    printed
      .trim()
      .parse()
      .with_context(|| format!("{}: {script}: {printed}", self.name))
  }
}
