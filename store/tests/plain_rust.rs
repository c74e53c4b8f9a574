//! No JavaScript engine, and nothing of Deno's, is linked by a program that uses the store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn no_javascript_in_the_tree() {
  let output = Command::new(env!("CARGO"))
    .args([
      "tree",
      "--package",
      "kv_store",
      "--all-features",
      "--locked",
      "--offline",
    ])
    .args([
      "--edges",
      "normal,build",
      "--prefix",
      "none",
      "--format",
      "{p}",
    ])
    .current_dir(env!("CARGO_MANIFEST_DIR"))
    .output()
    .unwrap();
  let errors = String::from_utf8_lossy(&output.stderr).into_owned();
  assert!(output.status.success(), "{errors}");
  let tree = String::from_utf8(output.stdout).unwrap();
  let names: Vec<_> = tree
    .lines()
    .filter_map(|line| line.split_whitespace().next())
    .collect();
  // The tree is there.
  assert!(names.contains(&"kv_store") && names.contains(&"rusqlite"));
  for name in names {
    let is_javascript =
      name.starts_with("deno_") || name.starts_with("v8") || name.contains("quickjs");
    assert!(!is_javascript, "{name}");
  }
}
