//! The example does what it says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn it_streams_changes() {
  let output = Command::new(env!("CARGO_BIN_EXE_embed_watch"))
    .output()
    .unwrap();
  let errors = String::from_utf8_lossy(&output.stderr).into_owned();
  assert!(output.status.success(), "{errors}");
  let printed = String::from_utf8(output.stdout).unwrap();
  // A slow reader may miss a state in between, never the last.
  assert!(printed.starts_with("progress: "), "{printed}");
  assert!(printed.ends_with("progress: 100\n"), "{printed}");
}
