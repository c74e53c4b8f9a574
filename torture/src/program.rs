//! The programs that are tortured.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A program that runs scripts.
pub struct Program {
  command: Vec<PathBuf>,
}

impl Program {
  /// `kv`.
  pub fn kv(binary: &Path) -> Self {
    Self {
      command: vec![binary.to_path_buf(), "run".into()],
    }
  }

  /// The real Deno.
  pub fn deno(binary: &Path) -> Self {
    let mut command = vec![binary.to_path_buf()];
    let arguments = ["run", "-A", "--unstable-kv", "--no-check", "--quiet"];
    command.extend(arguments.map(PathBuf::from));
    Self { command }
  }

  /// A script of this crate, with arguments, in `folder`; its output is read.
  pub fn script(&self, script: &str, folder: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(&self.command[0]);
    command
      .args(&self.command[1..])
      .arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
          .join("scripts")
          .join(script),
      )
      .args(arguments)
      .current_dir(folder)
      .env("KV_DATA_DIR", folder)
      .env("NO_COLOR", "1")
      .stdin(Stdio::null())
      .stdout(Stdio::piped())
      .stderr(Stdio::inherit());
    command
  }

  /// Runs a script to its end; returns what it prints.
  pub fn run(&self, script: &str, folder: &Path, arguments: &[String]) -> Result<String> {
    let output = self
      .script(script, folder, arguments)
      .output()
      .with_context(|| self.command[0].display().to_string())?;
    if !output.status.success() {
      let said = String::from_utf8_lossy(&output.stdout);
      bail!("{script} failed: {}: {said}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
  }
}

/// Random numbers with a seed (splitmix64), so that what went wrong can be done again.
pub struct Random(pub u64);

impl Random {
  pub fn bits(&mut self) -> u64 {
    self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = self.0;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
  }

  /// From 0 up to, and without, `end`.
  pub fn below(&mut self, end: u64) -> u64 {
    self.bits() % end.max(1)
  }
}
