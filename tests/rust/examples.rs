//! The scripts in examples/: each says what it shows, and prints the same on kv and on Deno.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;
use std::process::Command;

use support::*;
use tempfile::TempDir;

fn scripts() -> Vec<PathBuf> {
  let mut scripts: Vec<_> = std::fs::read_dir(repository().join("examples"))
    .unwrap()
    .map(|entry| entry.unwrap().path())
    .filter(|path| path.extension().is_some_and(|extension| extension == "ts"))
    .collect();
  scripts.sort();
  assert!(scripts.len() >= 10, "{scripts:?}");
  scripts
}

#[test]
fn every_example_begins_with_what_it_shows() {
  for script in scripts() {
    let text = std::fs::read_to_string(&script).unwrap();
    assert!(text.starts_with("// Shows "), "{}", script.display());
  }
}

#[test]
fn every_example_prints_the_same_on_deno() {
  let data = TempDir::new().unwrap();
  for script in scripts() {
    let mut kv = kv(data.path());
    kv.arg(&script);
    let on_kv = success_in_time(kv);
    assert!(!on_kv.is_empty(), "{}", script.display());
    let Some(mut deno) = deno() else { continue };
    deno
      .args(["run", "-A", "--unstable-kv", "--quiet"])
      .env("DENO_DIR", data.path().join("deno"))
      .arg(&script);
    let on_deno = success_in_time(deno);
    assert_eq!(on_kv, on_deno, "{}", script.display());
  }
}

#[test]
fn deno_finds_no_error_in_the_types() {
  let Some(deno) = deno() else { return };
  let data = TempDir::new().unwrap();
  let mut check: Command = deno;
  check
    .args(["check", "--unstable-kv", "--quiet"])
    .env("DENO_DIR", data.path());
  success(check.args(scripts()));
}

#[test]
fn the_second_run_finds_what_the_first_has_stored() {
  let data = TempDir::new().unwrap();
  let script = repository().join("examples/getting_started.ts");
  let first = success(kv(data.path()).arg(&script));
  assert!(first.starts_with("This is the first run."), "{first}");
  let second = success(kv(data.path()).arg(&script));
  assert!(
    second.starts_with("This script has run 1 times before."),
    "{second}"
  );
}
