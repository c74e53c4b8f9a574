//! How many crates an embedder's program gets by kv_ext, beside those of `deno_core`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::process::Command;

const MOST: usize = 20;

/// The packages that a package is built with, itself included, with its default features.
fn built_with(package: &str) -> BTreeSet<String> {
  let output = Command::new(env!("CARGO"))
    .args([
      "tree",
      "--locked",
      "--offline",
      "--edges",
      "normal",
      "--prefix",
      "none",
    ])
    .args(["--format", "{p}", "--package", package])
    .current_dir(env!("CARGO_MANIFEST_DIR"))
    .output()
    .unwrap();
  let errors = String::from_utf8_lossy(&output.stderr).into_owned();
  assert!(output.status.success(), "{errors}");
  let tree = String::from_utf8(output.stdout).unwrap();
  let packages = tree.lines().filter(|line| !line.is_empty());
  // "(*)": it was shown before; "(proc-macro)", and the path of those in the workspace.
  let named = packages.map(|line| line.split(" (").next().unwrap().to_owned());
  named.collect()
}

#[test]
fn it_adds_few_crates() {
  let core = built_with("deno_core");
  let ours = built_with("kv_ext");
  assert!(core.len() > 100, "{core:?}");
  // Not counting itself.
  let added: Vec<_> = ours.difference(&core).collect();
  assert!(added.len() - 1 <= MOST, "{}: {added:#?}", added.len() - 1);
  println!("{} crates: {added:#?}", added.len() - 1);
}
