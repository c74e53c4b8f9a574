//! `make torture`: long runs of the stress tests that `make test` runs briefly.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use kv_torture::program::Program;
use kv_torture::race::Fight;
use kv_torture::{crash, differential, hostile, lock, race};

/// How many calls one script makes; the next script gets another seed.
const CALLS_OF_ONE_SCRIPT: u32 = 500;

/// Kill kv, race it, and compare every answer with Deno
#[derive(Parser)]
struct Args {
  /// The kv to torture
  #[arg(long)]
  kv: PathBuf,
  /// The real Deno, to compare with
  #[arg(long)]
  deno: Option<PathBuf>,
  /// What everything random comes from. Default: the time
  #[arg(long)]
  seed: Option<u64>,
  /// How often the writer is killed
  #[arg(long, default_value_t = 500)]
  crashes: u32,
  /// How often the power fails
  #[arg(long, default_value_t = 500)]
  power_failures: u32,
  /// How long processes race, in seconds
  #[arg(long, default_value_t = 60)]
  race_seconds: u64,
  /// How long another process holds the write lock, in seconds
  #[arg(long, default_value_t = 60)]
  lock_seconds: u64,
  /// How long other programs write beside kv, in seconds
  #[arg(long, default_value_t = 60)]
  beside_seconds: u64,
  /// Calls of hostile scripts
  #[arg(long, default_value_t = 100_000)]
  hostile_calls: u32,
  /// Calls to compare
  #[arg(long, default_value_t = 100_000)]
  operations: u64,
  /// Parts to run. Default: all
  #[arg(long, value_enum)]
  only: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
  /// Kill a writer at random moments
  Crash,
  /// Power failures: what was not synced is lost, in part, in any order
  Power,
  /// An I/O error at every single call of an open, a commit and a checkpoint
  IoErrors,
  /// Several processes on the same keys
  Race,
  /// Scripts that run code wherever they are read
  Hostile,
  /// Deno and SQLite's own tools on the same file, and a clock that is set
  Beside,
  /// Another process holds the write lock
  Lock,
  /// The same calls on kv and on Deno
  Differential,
}

fn main() -> Result<()> {
  let args = Args::parse();
  let seed = args.seed.unwrap_or_else(|| {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(1, |time| time.as_secs() % 1_000_000)
  });
  println!("seed {seed}: the same again with --seed {seed}");
  let kv = Program::kv(&args.kv.canonicalize()?);
  let wanted = |part| args.only.is_empty() || args.only.contains(&part);

  if wanted(Part::Crash) {
    let report = crash::run(&kv, seed, args.crashes)?;
    println!("crash: {report:?}: nothing lost, nothing in part");
  }
  #[cfg(target_os = "linux")]
  if wanted(Part::Power) {
    let mut done = 0;
    while done < args.power_failures {
      let failures = (args.power_failures - done).min(100);
      let record = Duration::from_millis(600);
      let report = kv_torture::power::run(&kv, seed + u64::from(done), record, failures)?;
      println!("power: {report:?}: nothing lost, nothing in part");
      done += failures;
    }
  }
  #[cfg(target_os = "linux")]
  if wanted(Part::IoErrors) {
    let report = kv_torture::io_errors::run(&kv, 1, 1)?;
    println!("I/O errors: {report:?}: nothing lost, nothing in part");
  }
  if wanted(Part::Race) {
    let until = Instant::now() + Duration::from_secs(args.race_seconds);
    let (mut fights, mut operations) = (0, 0);
    while Instant::now() < until {
      let fight = Fight {
        processes: 4,
        tasks: 8,
        rounds: 100,
      };
      operations += race::run(&kv, seed + fights, fight)?;
      fights += 1;
    }
    println!("race: {operations} operations in {fights} fights: all in one order");
  }
  if wanted(Part::Hostile) {
    let (mut calls, mut seed) = (0, seed);
    while calls < args.hostile_calls {
      hostile::run(&kv, seed, CALLS_OF_ONE_SCRIPT)?;
      calls += CALLS_OF_ONE_SCRIPT;
      seed += 1;
    }
    println!("hostile: {calls} calls: no crash, nothing lost, nothing in part");
  }
  #[cfg(target_os = "linux")]
  if wanted(Part::Beside) {
    let deno = args.deno.as_ref().map(|deno| deno.canonicalize());
    let deno = deno.transpose()?.map(|deno| Program::deno(&deno));
    let until = Instant::now() + Duration::from_secs(args.beside_seconds);
    let mut seed = seed;
    while Instant::now() < until {
      let long = Duration::from_secs(args.beside_seconds.min(15));
      let report = kv_torture::beside::run(&kv, deno.as_ref(), seed, long)?;
      println!("beside: {report:?}: nothing lost, each counted once");
      seed += 1;
    }
  }
  if wanted(Part::Lock) {
    let report = lock::run(&kv, Duration::from_secs(args.lock_seconds))?;
    println!("lock: {report:?}: each was answered, and it works again");
  }
  if wanted(Part::Differential) {
    match &args.deno {
      None => println!("differential: not run, there is no --deno"),
      Some(deno) => {
        let deno = Program::deno(&deno.canonicalize()?);
        let compared = differential::run(&kv, &deno, seed, args.operations)?;
        println!("differential: {compared} answers are the same");
      }
    }
  }
  Ok(())
}
