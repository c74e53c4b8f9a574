//! A short form of `make torture`. What fails names its seed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use kv_torture::program::Program;
use kv_torture::race::Fight;
use kv_torture::{crash, differential, hostile, lock, race};

fn kv() -> Program {
  Program::kv(Path::new(env!("CARGO_BIN_EXE_kv")))
}

/// Another one each time: it is printed when the test fails.
fn seed() -> u64 {
  let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
  time.as_secs() % 1_000_000
}

#[test]
fn a_writer_that_is_killed_has_kept_what_it_said() {
  let report = crash::run(&kv(), seed(), 15).unwrap();
  assert!(report.acknowledged > 50, "{report:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_power_failure_loses_nothing_that_was_acknowledged() {
  let record = std::time::Duration::from_millis(700);
  let report = kv_torture::power::run(&kv(), seed(), record, 30).unwrap();
  assert!(report.syncs > 20, "{report:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_i_o_error_at_any_call_loses_nothing() {
  let report = kv_torture::io_errors::run(&kv(), seed() % 29, 29).unwrap();
  assert!(report.failures > 20, "{report:?}");
  assert!(report.acknowledged > 50, "{report:?}");
}

#[test]
fn hostile_scripts_end_no_process_and_spoil_nothing() {
  for script in 0..4 {
    hostile::run(&kv(), seed() * 10 + script, 300).unwrap();
  }
}

#[cfg(target_os = "linux")]
#[test]
fn other_programs_on_the_same_file_lose_nothing() {
  let binary = std::env::var_os("DENO_BIN").map(|binary| Program::deno(Path::new(&binary)));
  let long = std::time::Duration::from_secs(3);
  let report = kv_torture::beside::run(&kv(), binary.as_ref(), seed(), long).unwrap();
  assert!(
    report.acknowledged.iter().all(|count| *count > 10),
    "{report:?}"
  );
  assert!(report.visits > 5, "{report:?}");
}

#[test]
fn processes_that_race_have_one_order() {
  let fight = Fight {
    processes: 4,
    tasks: 8,
    rounds: 20,
  };
  assert!(race::run(&kv(), seed(), fight).unwrap() > 500);
}

#[test]
fn foreign_lock_times_out() {
  let report = lock::run(&kv(), std::time::Duration::from_secs(12)).unwrap();
  assert_eq!(report.rejected.len(), 1, "{report:?}");
  assert!(report.reads >= 200, "{report:?}");
}

#[test]
fn random_calls_have_the_same_answers_as_on_deno() {
  if support::deno().is_none() {
    return;
  }
  let binary = std::env::var_os("DENO_BIN").unwrap_or_else(|| "deno".into());
  let deno = Program::deno(Path::new(&binary));
  // A fixed seed. `make torture` tries others, where somebody can look at a difference that is Deno's own fault.
  assert!(differential::run(&kv(), &deno, 7, 5_000).unwrap() >= 5_000);
}
