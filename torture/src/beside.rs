//! Runs `kv` and other programs on one file: the real Deno, which writes, and SQLite, which checkpoints, vacuums and
//! holds the write lock. Meanwhile the clock of one `kv` is set back and forth.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use deno_core::futures::TryStreamExt;
use kv_ext::{ListOptions, Selector, Store, Versionstamp, key};
use rusqlite::Connection;

use crate::program::{Program, Random};
use crate::shim;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
  /// Commits that were acknowledged, by each program.
  pub acknowledged: Vec<usize>,
  /// Rejected commits. A commit is rejected after waiting 10 seconds for the lock, in Deno after five.
  pub rejected: usize,
  /// What SQLite has done in between.
  pub visits: usize,
  pub clock_set: usize,
}

/// Lets the programs write for the time `long`.
///
/// # Errors
/// A commit is lost, or was counted twice, or not at all; or the file is damaged.
pub fn run(kv: &Program, deno: Option<&Program>, seed: u64, long: Duration) -> Result<Report> {
  let folder = tempfile::tempdir()?;
  let folder = folder.path().canonicalize()?;
  let file = folder.join("kv.sqlite3");
  let clock = folder.join("clock");
  fs::write(&clock, 0_i64.to_ne_bytes())?;
  let library = shim::build("clock", &folder)?;
  // It makes the tables.
  drop(Store::open(&file)?);

  let script = |program: &Program, id: &str| {
    let arguments = [
      file.display().to_string(),
      id.into(),
      long.as_millis().to_string(),
    ];
    program.script("beside.js", &folder, &arguments)
  };
  let mut scripts = vec![script(kv, "kv")];
  let mut shifted = script(kv, "shifted");
  shifted
    .env("LD_PRELOAD", library)
    .env("CLOCK_OFFSET", &clock);
  scripts.push(shifted);
  scripts.extend(deno.map(|deno| script(deno, "deno")));
  let ids = ["kv", "shifted", "deno"];
  // Output goes to files, since pipes fill up.
  let said = |id: &str| folder.join(id).with_extension("said");
  let mut children: Vec<Child> = Vec::new();
  for (script, id) in scripts.iter_mut().zip(ids) {
    children.push(script.stdout(fs::File::create(said(id))?).spawn()?);
  }

  let mut report = Report::default();
  let until = Instant::now() + long;
  let mut random = Random(seed);
  while Instant::now() < until {
    if visit(&file, &mut random)? {
      report.visits += 1;
    }
    let seconds = random.below(20) as i64 - 10;
    // In place: the shim maps the file.
    fs::OpenOptions::new()
      .write(true)
      .open(&clock)?
      .write_all(&seconds.to_ne_bytes())?;
    report.clock_set += 1;
    std::thread::sleep(Duration::from_millis(random.below(80)));
  }

  let count = children.len();
  for mut child in children {
    let status = child.wait()?;
    ensure!(status.success(), "a program ended: {status}");
  }
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  let mut stamps = HashSet::new();
  let mut found = 0;
  for id in &ids[..count] {
    let said = fs::read_to_string(said(id))?;
    let (acknowledged, rejected, there) = tokio
      .block_on(check(&file, id, &said, &mut stamps))
      .with_context(|| format!("{id}, seed {seed}"))?;
    report.acknowledged.push(acknowledged);
    report.rejected += rejected;
    found += there;
  }
  tokio.block_on(check_total(&file, found))?;
  Ok(report)
}

/// Does one random operation with plain SQLite; returns false if another process held the lock.
fn visit(file: &Path, random: &mut Random) -> Result<bool> {
  let connection = Connection::open(file)?;
  connection.busy_timeout(Duration::from_secs(2))?;
  let done = match random.below(5) {
    0 => connection.execute_batch("VACUUM"),
    1 => connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())),
    2 => connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())),
    3 => connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
      std::thread::sleep(Duration::from_millis(random.below(300)));
      connection.execute_batch("COMMIT")
    }),
    _ => connection.query_row("SELECT count(*) FROM kv", [], |_| Ok(())),
  };
  match done {
    Ok(()) => Ok(true),
    Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
    Err(error) => Err(error.into()),
  }
}

/// Compares the output of a program with the file; returns how many commits were acknowledged, how many were
/// rejected, and how many the file holds.
async fn check(
  file: &Path,
  id: &str,
  said: &str,
  stamps: &mut HashSet<Versionstamp>,
) -> Result<(usize, usize, usize)> {
  ensure!(said.ends_with("end\n"), "it has not come to its end");
  let store = Store::open(file)?;
  let mut there = std::collections::HashMap::new();
  let mut entries = store.list(Selector::prefix(&key!["w", id])?, ListOptions::default());
  while let Some(entry) = entries.try_next().await? {
    let n: u64 = entry.value.deserialize()?;
    ensure!(
      stamps.insert(entry.versionstamp),
      "commit {n} has the versionstamp of another"
    );
    there.insert(n, entry.versionstamp);
  }
  let (mut acknowledged, mut rejected) = (0, 0);
  for line in said.lines() {
    let mut words = line.split(' ');
    let (kind, n) = (
      words.next(),
      words.next().and_then(|n| n.parse::<u64>().ok()),
    );
    match (kind, n) {
      (Some("acknowledged"), Some(n)) => {
        let versionstamp = words.next().context("no versionstamp")?.parse()?;
        ensure!(
          there.get(&n) == Some(&versionstamp),
          "commit {n} was acknowledged and is lost"
        );
        acknowledged += 1;
      }
      (Some("rejected"), Some(n)) => {
        ensure!(
          !there.contains_key(&n),
          "commit {n} was rejected and is there"
        );
        rejected += 1;
      }
      (Some("end"), _) => {}
      _ => bail!("{line}"),
    }
  }
  Ok((acknowledged, rejected, there.len()))
}

/// Each commit was counted once.
async fn check_total(file: &Path, found: usize) -> Result<()> {
  let store = Store::open(file)?;
  let total = store.get(key!["total"]).await?;
  let total: u64 = total.map_or(Ok(0), |entry| entry.value.deserialize())?;
  ensure!(
    total == found as u64,
    "{found} commits are there, and {total} were counted"
  );
  drop(store);
  let connection = Connection::open(file)?;
  let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
  ensure!(integrity == "ok", "integrity_check: {integrity}");
  Ok(())
}
