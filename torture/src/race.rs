//! Processes that fight over the same keys: totals are exact, and their history has an order.

use std::io::Read;

use anyhow::{Context, Result, anyhow, ensure};
use kv_ext::{ListOptions, Selector, Store, key};

use crate::history::{Operation, check};
use crate::program::Program;

/// How many fight.
#[derive(Clone, Copy)]
pub struct Fight {
  pub processes: u32,
  pub tasks: u32,
  /// Operations of each task.
  pub rounds: u32,
}

/// Lets them fight once; returns how many operations there were.
///
/// # Errors
/// An update was lost, a read was stale, a commit was torn, or a process failed.
pub fn run(kv: &Program, seed: u64, fight: Fight) -> Result<usize> {
  fight_once(kv, seed, fight).with_context(|| format!("seed {seed}"))
}

fn fight_once(kv: &Program, seed: u64, fight: Fight) -> Result<usize> {
  let folder = tempfile::tempdir()?;
  let file = folder.path().join("kv.sqlite3");
  let children = (0..fight.processes).map(|process| {
    let arguments = [
      file.display().to_string(),
      (seed * 100 + u64::from(process)).to_string(),
      fight.tasks.to_string(),
      fight.rounds.to_string(),
      process.to_string(),
    ];
    Ok(kv.script("race.js", folder.path(), &arguments).spawn()?)
  });
  let mut children = children.collect::<Result<Vec<_>>>()?;
  let outputs: Vec<_> = children
    .iter_mut()
    .map(|child| {
      let mut output = child.stdout.take();
      std::thread::spawn(move || {
        let mut text = String::new();
        let read = output
          .as_mut()
          .map(|output| output.read_to_string(&mut text));
        read.transpose().map(|_| text)
      })
    })
    .collect();

  let mut history = Vec::new();
  let (mut counted, mut taken) = (0, 0);
  for (child, output) in children.iter_mut().zip(outputs) {
    let output = output.join().map_err(|_| anyhow!("a reader panicked"))??;
    ensure!(child.wait()?.success(), "a process failed");
    for line in output.lines() {
      match line.strip_prefix("done ") {
        None => history.push(serde_json::from_str::<Operation>(line)?),
        Some(totals) => {
          let (first, second) = totals.split_once(' ').context("no totals")?;
          counted += first.parse::<u64>()?;
          taken += second.parse::<u64>()?;
        }
      }
    }
  }
  check(&history).map_err(|violation| anyhow!("{violation:?}"))?;
  let tokio = tokio::runtime::Builder::new_current_thread().build()?;
  tokio.block_on(totals(&Store::open(&file)?, counted, taken))?;
  Ok(history.len())
}

/// Checks the stored totals against the processes' own counts.
async fn totals(store: &Store, counted: u64, taken: u64) -> Result<()> {
  use deno_core::futures::TryStreamExt;

  let of = async |prefix: &str| -> Result<Vec<kv_ext::Entry>> {
    let entries = store.list(Selector::prefix(&key![prefix])?, ListOptions::default());
    Ok(entries.try_collect().await?)
  };
  let mut sum = 0;
  for entry in of("counter").await? {
    sum += entry.value.deserialize::<u64>()?;
  }
  ensure!(sum == counted, "{counted} were counted, the sum is {sum}");
  let names = of("name").await?.len() as u64;
  ensure!(
    names == taken,
    "{taken} names were taken, {names} are there"
  );
  let mut money = 0;
  let accounts = of("account").await?;
  for entry in &accounts {
    money += entry.value.deserialize::<i64>()?;
  }
  let expected = accounts.len() as i64 * 100;
  ensure!(money == expected, "{money} of {expected} is left");
  Ok(())
}
