//! Makes every single call on a database's files fail with an I/O error, as SQLite's own tests do: the n-th call fails,
//! for n from 1 until a run makes fewer calls than that.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::crash::{Ledger, check};
use crate::program::Program;
use crate::shim;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
  /// Calls that have failed, each in a run of its own.
  pub failures: usize,
  /// Commits that were acknowledged in all of them.
  pub acknowledged: usize,
}

/// Makes every `step`-th call fail, from the `first` on: first only that call, then also all calls after it.
///
/// # Errors
/// A promise was broken; the message says at which call.
pub fn run(kv: &Program, first: u64, step: usize) -> Result<Report> {
  let folder = tempfile::tempdir()?;
  let library = shim::build("fail", folder.path())?;
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  let mut report = Report::default();
  for for_ever in [false, true] {
    for at in (first.max(1)..).step_by(step) {
      let (failed, ledger) = fail_once(kv, &library, at, for_ever, &tokio)
        .with_context(|| format!("call {at} fails, and those after it: {for_ever}"))?;
      report.acknowledged += ledger.acknowledged();
      if !failed {
        break;
      }
      report.failures += 1;
    }
  }
  Ok(report)
}

/// Runs the script once; returns whether it made such a call, and the commits it reported.
fn fail_once(
  kv: &Program,
  library: &Path,
  at: u64,
  for_ever: bool,
  tokio: &tokio::runtime::Runtime,
) -> Result<(bool, Ledger)> {
  let folder = tempfile::tempdir()?;
  let folder = folder.path().canonicalize()?;
  let (file, failed) = (folder.join("kv.sqlite3"), folder.join("failed"));
  let mut script = kv.script("io_errors.js", &folder, &[file.display().to_string()]);
  script
    .env("LD_PRELOAD", library)
    .env("FAIL_FILE", &file)
    .env("FAIL_AT", at.to_string())
    .env("FAIL_REPORT", &failed);
  if for_ever {
    script.env("FAIL_FOR_EVER", "1");
  }
  let output = script.output()?;
  let call = fs::read_to_string(&failed).unwrap_or_else(|_| "none".into());
  let said = String::from_utf8(output.stdout)?;
  ensure!(output.status.success(), "{call} fails: {}", output.status);
  ensure!(
    said.ends_with("end\n"),
    "{call} fails: it ended early: {said}"
  );
  let wrong = said
    .lines()
    .find(|line| line.contains("lost") || line.contains("not listed") || line.contains("odd"));
  ensure!(wrong.is_none(), "{call} fails: {wrong:?}");

  let mut ledger = Ledger::default();
  ledger.note_lines(&said)?;
  tokio
    .block_on(check(&file, 0, &mut ledger))
    .with_context(|| format!("{call} fails"))?;
  Ok((call != "none", ledger))
}
