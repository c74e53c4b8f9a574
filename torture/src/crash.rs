//! Kills a writer at random moments, and checks the file: every acknowledged commit is there, and no commit in part;
//! versionstamps never repeat or go back; every message comes at least once.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use deno_core::futures::{StreamExt, TryStreamExt};
use kv_ext::{JsValue, ListOptions, Selector, Store, Versionstamp, key};
use rusqlite::Connection;

use crate::program::{Program, Random};

/// A commit that the writer has said was acknowledged.
struct Acknowledged {
  keys: usize,
  versionstamp: Versionstamp,
}

/// What a writer has said, and what was found of it.
#[derive(Default)]
pub struct Ledger {
  acknowledged: BTreeMap<u64, Acknowledged>,
  /// Messages that were delivered.
  delivered: HashSet<u64>,
  newest: Option<Versionstamp>,
  /// Commits that were found, acknowledged or not.
  commits: u64,
}

/// Rounds on one file. The file grows, and the integrity check after each round reads all of it.
const ROUNDS_A_FILE: u32 = 25;

/// How often it was killed, and what was found.
#[derive(Debug, Default)]
pub struct Report {
  pub rounds: u32,
  pub acknowledged: usize,
  /// Commits in the file that the writer was killed before reporting.
  pub unsaid: usize,
}

/// Kills the writer `rounds` times.
///
/// # Errors
/// A promise was broken; the message says which, and in which round.
pub fn run(kv: &Program, seed: u64, rounds: u32) -> Result<Report> {
  let mut folder = tempfile::tempdir()?;
  let mut random = Random(seed);
  let mut ledger = Ledger::default();
  let mut report = Report::default();
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  for round in 0..rounds {
    if round % ROUNDS_A_FILE == 0 {
      folder = tempfile::tempdir()?;
      report.acknowledged += ledger.acknowledged.len();
      ledger = Ledger::default();
    }
    let file = folder.path().join("kv.sqlite3");
    kill_once(kv, folder.path(), &file, round, &mut random, &mut ledger)
      .with_context(|| format!("round {round} of seed {seed}"))?;
    let found = tokio
      .block_on(check(&file, u64::from(round), &mut ledger))
      .with_context(|| format!("round {round} of seed {seed}"))?;
    report.rounds += 1;
    report.unsaid += found;
  }
  report.acknowledged += ledger.acknowledged.len();
  Ok(report)
}

/// Starts the writer, kills it, and notes what it has said.
fn kill_once(
  kv: &Program,
  folder: &Path,
  file: &Path,
  round: u32,
  random: &mut Random,
  ledger: &mut Ledger,
) -> Result<()> {
  let arguments = [
    file.display().to_string(),
    random.below(1 << 32).to_string(),
    round.to_string(),
  ];
  let mut child = kv.script("crash.js", folder, &arguments).spawn()?;
  let output = child.stdout.take().context("no output")?;
  let mut lines = BufReader::new(output).lines();
  let first = lines.next().transpose()?;
  ensure!(
    first.as_deref() == Some("open"),
    "it did not open the file: {first:?}"
  );
  std::thread::sleep(Duration::from_micros(random.below(250_000)));
  child.kill()?;
  child.wait()?;
  // What was in the pipe was said before.
  for line in lines {
    ledger.note(&line?)?;
  }
  Ok(())
}

impl Ledger {
  /// Notes what the writer has said in these lines.
  ///
  /// # Errors
  /// A report holds something other than numbers.
  pub fn note_lines(&mut self, lines: &str) -> Result<()> {
    lines.lines().try_for_each(|line| self.note(line))
  }

  fn note(&mut self, line: &str) -> Result<()> {
    let fields: Vec<&str> = line.split(' ').collect();
    // Not "open", nor the last line, cut off.
    if let [n, keys, versionstamp] = fields[..]
      && let Ok(versionstamp) = versionstamp.parse()
    {
      let commit = Acknowledged {
        keys: keys.parse()?,
        versionstamp,
      };
      self.acknowledged.insert(n.parse()?, commit);
    }
    Ok(())
  }

  /// How many commits were acknowledged.
  pub fn acknowledged(&self) -> usize {
    self.acknowledged.len()
  }
}

/// Checks the file for the commits of a round's writer; returns how many of them were not acknowledged.
///
/// # Errors
/// Something that was acknowledged is not there, or something is there in part.
pub async fn check(file: &Path, round: u64, ledger: &mut Ledger) -> Result<usize> {
  let store = Store::open(file)?;
  // What this round has committed.
  let selector = Selector::prefix_from(&key!["c"], &key!["c", (round * 1_000_000) as f64])?;
  let mut entries = store.list(selector, ListOptions::default());
  let mut found: BTreeMap<u64, (usize, Versionstamp)> = BTreeMap::new();
  let mut wanted = BTreeMap::new();
  while let Some(entry) = entries.try_next().await? {
    let value = entry.value.to_js()?;
    let n = integer(&value, "n")?;
    wanted.insert(n, integer(&value, "keys")? as usize);
    let (count, versionstamp) = found.entry(n).or_insert((0, entry.versionstamp));
    *count += 1;
    ensure!(
      *versionstamp == entry.versionstamp,
      "commit {n} has two versionstamps"
    );
  }
  for (n, (count, _)) in &found {
    ensure!(
      wanted.get(n) == Some(count),
      "commit {n} is there in part: {count} keys of {:?}",
      wanted.get(n)
    );
  }
  let of_round = ledger.acknowledged.range(round * 1_000_000..);
  let mut stamps = BTreeSet::new();
  for (n, commit) in of_round {
    let Some((count, versionstamp)) = found.get(n) else {
      bail!("commit {n} was acknowledged and is lost");
    };
    ensure!(*count == commit.keys, "commit {n} has {count} keys");
    ensure!(
      *versionstamp == commit.versionstamp,
      "commit {n} was acknowledged with another versionstamp"
    );
  }
  for (n, (_, versionstamp)) in &found {
    ensure!(stamps.insert(*versionstamp), "versionstamp of {n} repeats");
    ensure!(
      Some(*versionstamp) > ledger.newest,
      "versionstamp of {n} went back to {versionstamp}"
    );
  }
  ledger.newest = stamps.last().copied().max(ledger.newest);

  let total = store.get(key!["count"]).await?;
  let total: u64 = total.map_or(Ok(0), |entry| entry.value.deserialize())?;
  // Includes the commits of earlier rounds: none of them may be lost.
  ledger.commits += found.len() as u64;
  let all = ledger.commits;
  ensure!(
    total == all,
    "{total} commits were counted, {all} are there"
  );

  drain(&store, &found, ledger).await?;
  drop(store);
  let connection = Connection::open(file)?;
  let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
  ensure!(integrity == "ok", "integrity_check: {integrity}");
  let unsaid = found
    .keys()
    .filter(|n| !ledger.acknowledged.contains_key(n));
  Ok(unsaid.count())
}

/// Receives messages until each commit's message has come.
async fn drain(
  store: &Store,
  found: &BTreeMap<u64, (usize, Versionstamp)>,
  ledger: &mut Ledger,
) -> Result<()> {
  let mut deliveries = store.listen(100);
  let mut missing: HashSet<u64> = found.keys().copied().collect();
  while !missing.is_empty() {
    let next = tokio::time::timeout(Duration::from_secs(10), deliveries.next());
    let Ok(Some(delivery)) = next.await else {
      bail!("messages of commits are lost: {missing:?}");
    };
    let delivery = delivery?;
    let n: u64 = delivery.value.deserialize()?;
    ensure!(
      found.contains_key(&n) || ledger.delivered.contains(&n),
      "a message of commit {n}, which is not there"
    );
    missing.remove(&n);
    ledger.delivered.insert(n);
    delivery.ack().await?;
  }
  Ok(())
}

fn integer(value: &JsValue, property: &str) -> Result<u64> {
  match value.get(property) {
    Some(JsValue::Number(number)) => Ok(*number as u64),
    other => bail!("{property} is {other:?}"),
  }
}
