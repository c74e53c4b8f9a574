//! Runs scripts whose arguments execute code when they are read, under patched prototypes (`scripts/hostile.js`). No
//! signal may end the process, and no stored data may be lost or incomplete.

use anyhow::{Context, Result, ensure};

use crate::program::Program;

/// Makes `cases` calls.
///
/// # Errors
/// The process has died, a call does not settle, or what is stored is wrong.
pub fn run(kv: &Program, seed: u64, cases: u32) -> Result<()> {
  let folder = tempfile::tempdir()?;
  let arguments = [seed.to_string(), cases.to_string()];
  let said = kv
    .run("hostile.js", folder.path(), &arguments)
    .with_context(|| format!("seed {seed}"))?;
  ensure!(said == "end\n", "seed {seed}: {said}");
  Ok(())
}
