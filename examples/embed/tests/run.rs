//! The example does what it says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn it_counts_and_goes_on_counting() {
  let folder = tempfile::TempDir::new().unwrap();
  let file = folder.path().join("embed.sqlite3");
  let run = || {
    let output = Command::new(env!("CARGO_BIN_EXE_embed"))
      .arg(&file)
      .output()
      .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = printed.lines().map(str::to_owned);
    lines.take(3).collect::<Vec<_>>()
  };
  let counts = |times: u32| {
    [("ada", 3), ("grace", 2), ("mary", 1)]
      .map(|(word, count)| format!("[\"count\", \"{word}\"] {}", count * times))
      .to_vec()
  };
  assert_eq!(run(), counts(1));
  assert_eq!(run(), counts(2));
  // Shut down cleanly: one file.
  assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
