//! scripts/engine: which engine `make` builds with.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::*;
use tempfile::TempDir;

/// A project that has built nothing yet.
fn project() -> TempDir {
  let folder = TempDir::new().unwrap();
  std::fs::create_dir(folder.path().join("scripts")).unwrap();
  for file in ["scripts/engine", "Cargo.lock"] {
    std::fs::copy(repository().join(file), folder.path().join(file)).unwrap();
  }
  folder
}

/// The script with an empty cargo home, and with `proxy` as the only way to the network.
fn engine(project: &Path, proxy: &str) -> Command {
  // Run by bash: a file just written can't be executed while a concurrent test starts a program, which inherits open
  // files until it runs ("Text file busy").
  let mut command = Command::new("bash");
  command
    .arg(project.join("scripts/engine"))
    .env("CARGO_HOME", project.join("cargo"))
    .env("https_proxy", proxy)
    .env("HTTPS_PROXY", proxy);
  for name in [
    "ENGINE",
    "RUSTY_V8_ARCHIVE",
    "RUSTY_V8_MIRROR",
    "NO_PROXY",
    "no_proxy",
  ] {
    command.env_remove(name);
  }
  command
}

const NOWHERE: &str = "http://127.0.0.1:9";

fn chosen(command: &mut Command) -> (String, String) {
  let output = command.output().unwrap();
  assert!(output.status.success(), "{}", stderr(&output));
  (stdout(&output).trim().to_owned(), stderr(&output))
}

#[test]
fn quickjs_without_network_explained_in_one_line() {
  let project = project();
  let (engine, why) = chosen(&mut engine(project.path(), NOWHERE));
  assert_eq!(engine, "quickjs");
  assert!(
    why.starts_with("using QuickJS: V8 is not at hand") && why.lines().count() == 1,
    "{why}"
  );
}

#[test]
fn quickjs_where_the_network_hangs_after_five_seconds() {
  let project = project();
  // It accepts connections, in the kernel, and never answers.
  let silent = TcpListener::bind("127.0.0.1:0").unwrap();
  let proxy = format!("http://{}", silent.local_addr().unwrap());
  let started = Instant::now();
  assert_eq!(chosen(&mut engine(project.path(), &proxy)).0, "quickjs");
  assert!(
    started.elapsed() < Duration::from_secs(9),
    "{:?}",
    started.elapsed()
  );
}

#[test]
fn v8_where_its_archive_is_at_hand() {
  let project = project();
  let named = chosen(engine(project.path(), NOWHERE).env("RUSTY_V8_ARCHIVE", "/some/archive.a"));
  assert_eq!(named, ("v8".into(), String::new()));
  let built = project.path().join("target/debug/gn_out/obj");
  std::fs::create_dir_all(&built).unwrap();
  std::fs::write(built.join("librusty_v8.a"), "archive").unwrap();
  assert_eq!(chosen(&mut engine(project.path(), NOWHERE)).0, "v8");
}

#[test]
fn v8_where_cargo_has_kept_it() {
  let project = project();
  let lock = std::fs::read_to_string(project.path().join("Cargo.lock")).unwrap();
  let version = lock
    .split("name = \"v8\"\nversion = \"")
    .nth(1)
    .unwrap()
    .split('"')
    .next()
    .unwrap();
  let host = success(Command::new("rustc").arg("-vV"));
  let host = host.split("host: ").nth(1).unwrap().lines().next().unwrap();
  let url = format!(
    "https://github.com/denoland/rusty_v8/releases/download/v{version}/librusty_v8_simdutf_release_{host}.a.gz"
  );
  // The name that the crate's build script gives it.
  let name: String = url
    .chars()
    .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
    .collect();
  let cache = project.path().join("cargo/.rusty_v8");
  std::fs::create_dir_all(&cache).unwrap();
  std::fs::write(cache.join(name), "archive").unwrap();
  assert_eq!(
    chosen(&mut engine(project.path(), NOWHERE)),
    ("v8".into(), String::new())
  );
}

#[test]
fn the_user_s_choice() {
  let project = project();
  for name in ["v8", "quickjs"] {
    let said = chosen(engine(project.path(), NOWHERE).env("ENGINE", name));
    assert_eq!(said, (name.into(), String::new()));
  }
  let error = failure(engine(project.path(), NOWHERE).env("ENGINE", "spidermonkey"));
  assert!(error.contains("it must be v8 or quickjs"), "{error}");
}
