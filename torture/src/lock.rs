//! Another process holds the write lock for longer than a write waits for it.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::program::Program;

/// What a script has seen that went on meanwhile.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
  /// How long each write has waited before it was rejected, in milliseconds.
  pub rejected: Vec<u64>,
  pub messages: Vec<String>,
  pub reads: u64,
  /// The longest time between two turns of its event loop, in milliseconds.
  pub longest_pause: u64,
  acknowledged: Vec<u64>,
  stored: Vec<u64>,
}

/// Holds the lock for the time `long`.
///
/// # Errors
/// A write was neither committed nor rejected in time, or a rejected write is stored.
pub fn run(kv: &Program, long: Duration) -> Result<Report> {
  let folder = tempfile::TempDir::new()?;
  let file = folder.path().join("kv.sqlite3");
  let arguments = [file.display().to_string(), long.as_millis().to_string()];
  let mut child = kv
    .script("lock.js", folder.path(), &arguments)
    .stdin(Stdio::piped())
    .spawn()?;
  let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
  ensure!(lines.next().context("no line")?? == "ready");

  let holder = rusqlite::Connection::open(&file)?;
  holder.execute_batch("BEGIN IMMEDIATE")?;
  child.stdin.take().context("no input")?.write_all(b"\n")?;
  std::thread::sleep(long);
  holder.execute_batch("COMMIT")?;

  let report = lines.next().context("the script has ended early")??;
  let report: Report = serde_json::from_str(&report)?;
  ensure!(child.wait()?.success());
  ensure!(report.stored == report.acknowledged, "{report:?}");
  // A write waits 10 seconds for the lock, the default busy timeout, and is rejected soon after.
  let in_time = |waited: &u64| (9_000..14_000).contains(waited);
  ensure!(report.rejected.iter().all(in_time), "{report:?}");
  let helps = |message: &String| message.contains("locked") && message.contains("kv.sqlite3");
  ensure!(report.messages.iter().all(helps), "{report:?}");
  ensure!(report.longest_pause < 2_000, "{report:?}");
  Ok(report)
}
