//! What the tests of the binary share.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn repository() -> PathBuf {
  Path::new(env!("CARGO_MANIFEST_DIR"))
    .parent()
    .unwrap()
    .to_path_buf()
}

/// `kv` with its default databases in `data`, without colours and backtraces.
pub fn kv(data: &Path) -> Command {
  let mut command = Command::new(env!("CARGO_BIN_EXE_kv"));
  command
    .env("KV_DATA_DIR", data)
    .env("NO_COLOR", "1")
    .env_remove("RUST_BACKTRACE")
    .env_remove("DENO_KV_DEFAULT_PATH")
    .env_remove("DENO_KV_PATH_PREFIX");
  command
}

pub fn stdout(output: &Output) -> String {
  String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
  String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the command prints, if it succeeds.
pub fn success(command: &mut Command) -> String {
  let output = command.output().unwrap();
  assert!(
    output.status.success(),
    "{}{}",
    stdout(&output),
    stderr(&output)
  );
  stdout(&output)
}

/// Like [`success`], for a command that might hang: it is killed after a minute, and the test fails.
pub fn success_in_time(mut command: Command) -> String {
  let seconds = 60;
  let mut limited = Command::new("timeout");
  limited
    .args(["--kill-after=5", &seconds.to_string()])
    .arg(command.get_program())
    .args(command.get_args());
  for (name, value) in command.get_envs() {
    match value {
      Some(value) => limited.env(name, value),
      None => limited.env_remove(name),
    };
  }
  if let Some(folder) = command.get_current_dir() {
    limited.current_dir(folder);
  }
  if cfg!(target_os = "linux") {
    command = limited;
  }
  let output = command.output().unwrap();
  assert!(
    output.status.success(),
    "{command:?}: {}: {}{}",
    output.status,
    stdout(&output),
    stderr(&output)
  );
  stdout(&output)
}

/// What the command prints to standard error, if it fails with code 1.
pub fn failure(command: &mut Command) -> String {
  let output = command.output().unwrap();
  assert_eq!(
    output.status.code(),
    Some(1),
    "{}{}",
    stdout(&output),
    stderr(&output)
  );
  stderr(&output)
}

/// The real Deno: `$DENO_BIN`, or `deno` on the path. `make test` installs it; where it is not, a
/// test of compatibility says that it did not run.
pub fn deno() -> Option<Command> {
  let binary = std::env::var_os("DENO_BIN").unwrap_or_else(|| "deno".into());
  let found = Command::new(&binary)
    .arg("--version")
    .output()
    .is_ok_and(|output| output.status.success());
  if !found {
    assert!(
      std::env::var_os("KV_REQUIRE_DENO").is_none(),
      "{} does not run, and KV_REQUIRE_DENO is set",
      binary.display()
    );
    eprintln!("not run: no Deno found; install it, or set DENO_BIN");
    return None;
  }
  let mut command = Command::new(binary);
  command.env("NO_COLOR", "1");
  Some(command)
}

/// A folder in which Node finds @deno/kv, if there is one.
pub fn node_folder() -> Option<PathBuf> {
  let folder = std::env::var_os("KV_NODE");
  if folder.is_none() {
    eprintln!("not run: KV_NODE is not set (scripts/node)");
  }
  folder.map(PathBuf::from)
}
