//! How many crates an embedder's program gets by kv_ext, beside those of `deno_core`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeSet, HashMap};
use std::process::Command;

use serde_json::Value;

const MOST: usize = 20;

/// The packages that a package is built with, itself included: not what its tests or build scripts need.
fn built_with(nodes: &HashMap<&str, &Value>, package: &str) -> BTreeSet<String> {
  let mut seen = BTreeSet::new();
  let mut waiting = vec![package.to_owned()];
  while let Some(package) = waiting.pop() {
    if !seen.insert(package.clone()) {
      continue;
    }
    for dependency in nodes[package.as_str()]["deps"].as_array().unwrap() {
      let kinds = dependency["dep_kinds"].as_array().unwrap();
      if kinds.iter().any(|kind| kind["kind"].is_null()) {
        waiting.push(dependency["pkg"].as_str().unwrap().to_owned());
      }
    }
  }
  seen
}

#[test]
fn it_adds_few_crates() {
  let rustc = Command::new("rustc").arg("-vV").output().unwrap();
  let rustc = String::from_utf8(rustc.stdout).unwrap();
  let host = rustc
    .lines()
    .find_map(|line| line.strip_prefix("host: "))
    .unwrap();
  let output = Command::new(env!("CARGO"))
    .args(["metadata", "--format-version", "1", "--locked", "--offline"])
    .args(["--filter-platform", host])
    .current_dir(env!("CARGO_MANIFEST_DIR"))
    .output()
    .unwrap();
  let errors = String::from_utf8_lossy(&output.stderr).into_owned();
  assert!(output.status.success(), "{errors}");
  let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
  let id = |name: &str| -> String {
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == name);
    package.unwrap()["id"].as_str().unwrap().to_owned()
  };
  let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
  let nodes = nodes
    .iter()
    .map(|node| (node["id"].as_str().unwrap(), node));
  let nodes: HashMap<&str, &Value> = nodes.collect();

  let core = built_with(&nodes, &id("deno_core"));
  let ours = built_with(&nodes, &id("kv_ext"));
  assert!(core.len() > 100, "{core:?}");
  // Not counting itself.
  let added: Vec<_> = ours.difference(&core).collect();
  assert!(added.len() - 1 <= MOST, "{}: {added:#?}", added.len() - 1);
  println!("{} crates: {added:#?}", added.len() - 1);
}
