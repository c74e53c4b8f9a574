//! Compatibility with the real Deno: the same tests, the same files, in both directions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use support::*;

/// The names of the tests that fail on Deno, from its TAP report.
fn failing(report: &str) -> BTreeSet<String> {
  report
    .lines()
    .filter_map(|line| line.strip_prefix("not ok "))
    .filter_map(|line| line.split_once(" - "))
    .map(|(_, name)| name.to_owned())
    .collect()
}

/// Whether a test in Rust has this name.
fn is_rust_test(name: &str) -> bool {
  let definition = format!("fn {name}(");
  let folders = [
    "tests/rust",
    "ext/tests",
    "store/tests",
    "store/src/sqlite/tests",
  ];
  let mut files = folders
    .iter()
    .flat_map(|folder| std::fs::read_dir(repository().join(folder)).unwrap());
  files.any(|file| {
    let path = file.unwrap().path();
    path.extension().is_some_and(|extension| extension == "rs")
      && std::fs::read_to_string(&path)
        .unwrap()
        .contains(&definition)
  })
}

#[test]
fn the_default_database_is_the_script_s() {
  if deno().is_none() {
    return;
  }
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path();
  std::fs::write(path.join("deno.json"), "{}").unwrap();
  let script = "const kv = await Deno.openKv();
    console.log((await kv.get(['who'])).value);
    await kv.set(['who'], 'first');
    kv.close();";
  for name in ["one.js", "two.js"] {
    std::fs::write(path.join(name), script).unwrap();
  }
  let run = |name| success(kv(path).arg(name).current_dir(path));
  assert_eq!(
    (run("one.js"), run("two.js"), run("one.js")),
    ("null\n".into(), "null\n".into(), "first\n".into())
  );
  let theirs = |name| {
    let mut deno = deno().unwrap();
    deno
      .args(["run", "-A", "--unstable-kv", "--no-check", name])
      .current_dir(path)
      .env("DENO_DIR", path.join("deno"));
    success(&mut deno)
  };
  assert_eq!(theirs("one.js"), "null\n");
  assert_eq!(theirs("two.js"), "first\n");
}

#[test]
fn the_js_tests_pass_on_deno_but_for_the_listed_ones() {
  let Some(mut deno) = deno() else { return };
  let folder = repository().join("tests/js");
  let listed = std::fs::read_to_string(folder.join("differences.json")).unwrap();
  let listed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&listed).unwrap();
  let output = deno
    .args([
      "test",
      "-A",
      "--unstable-kv",
      "--no-check",
      "--reporter",
      "tap",
    ])
    .current_dir(folder)
    .output()
    .unwrap();
  let report = stdout(&output);
  let passed = report
    .lines()
    .filter(|line| line.starts_with("ok "))
    .count();
  assert!(passed > 90, "{report}{}", stderr(&output));
  let failing = failing(&report);
  for name in &failing {
    assert!(listed.contains_key(name), "{name} is not listed: {report}");
  }
  for (name, reason) in listed {
    // Where it takes several processes, or a file made for it, the test is in Rust.
    if is_rust_test(&name) {
      continue;
    }
    // A test that depends on which of two threads is faster passes now and then.
    let sometimes = reason.as_str().unwrap().starts_with("sometimes ");
    assert!(
      sometimes || failing.contains(&name),
      "{name} passes: {report}"
    );
  }
}

#[test]
fn the_js_files_have_the_types_of_deno() {
  let Some(mut deno) = deno() else { return };
  // From the folder whose configuration knows @std/assert.
  deno.args(["check", "--unstable-kv", "--quiet", ".", "../../examples"]);
  success(deno.current_dir(repository().join("tests/js")));
}

#[test]
fn our_types_and_denos_are_compatible() {
  let Some(mut deno) = deno() else { return };
  let data = tempfile::TempDir::new().unwrap();
  // Ours under another name, and then each assigned to the other.
  let ours = success(kv(data.path()).arg("types"))
    .replace("declare namespace Deno", "declare namespace Ours");
  std::fs::write(data.path().join("ours.d.ts"), ours).unwrap();
  let script = r#"/// <reference path="./ours.d.ts" />
    declare const theirs: Deno.Kv;
    const kv: Ours.Kv = theirs;
    const operation: Ours.AtomicOperation = theirs.atomic();
    declare const list: Deno.KvListIterator<number>;
    const ourList: Ours.KvListIterator<number> = list;
    declare const mutation: Ours.KvMutation;
    const theirMutation: Deno.KvMutation = mutation;
    declare const selector: Ours.KvListSelector;
    const theirSelector: Deno.KvListSelector = selector;
    declare const options: Ours.KvListOptions;
    const theirOptions: Deno.KvListOptions = options;
    declare const ourKv: Ours.Kv;
    const theirKv: Deno.Kv = ourKv;
    const u64: Ours.KvU64 = new Deno.KvU64(1n);
    const open: typeof Ours.openKv = Deno.openKv;
    console.log(kv, operation, ourList, theirMutation, theirSelector, theirOptions, theirKv, u64, open);
  "#;
  std::fs::write(data.path().join("check.ts"), script).unwrap();
  success(
    deno
      .args(["check", "--unstable-kv", "check.ts"])
      .current_dir(data.path()),
  );
}

const WRITE: &str = include_str!("../fixtures/write.ts");
const READ: &str = include_str!("../fixtures/read.ts");

/// Writes with one program and reads with the other; the reader compares every value.
fn exchange(deno_writes: bool) {
  if deno().is_none() {
    return;
  }
  let folder = tempfile::TempDir::new().unwrap();
  std::fs::write(folder.path().join("write.ts"), WRITE).unwrap();
  std::fs::write(folder.path().join("read.ts"), READ).unwrap();
  let run = |on_deno: bool, script: &str| {
    let mut command = if on_deno {
      let mut command = deno().unwrap();
      command.args(["run", "-A", "--unstable-kv", "--no-check"]);
      command
    } else {
      let mut command = kv(folder.path());
      command.arg("run");
      command
    };
    success(
      command
        .arg(script)
        .arg("kv.sqlite3")
        .current_dir(folder.path()),
    )
  };
  assert_eq!(run(deno_writes, "write.ts"), "written\n");
  assert_eq!(run(!deno_writes, "read.ts"), "equal\n");
  // The writer reads again: the other program has not spoiled the file for it.
  assert_eq!(run(deno_writes, "read.ts"), "equal\n");
}

#[test]
fn deno_reads_what_we_write() {
  exchange(false);
}

#[test]
fn we_read_what_deno_writes() {
  exchange(true);
}

#[test]
fn a_cursor_of_deno_continues_here() {
  let Some(mut deno) = deno() else { return };
  let folder = tempfile::TempDir::new().unwrap();
  let script = r#"
    const [path, cursor] = Deno.args;
    const kv = await Deno.openKv(path);
    for (let i = 0; i < 10; i++) await kv.set(["a", i, "\0", new Uint8Array([i, 0])], i);
    const list = kv.list({ prefix: ["a"] }, { limit: 3, cursor, reverse: true });
    const seen = [];
    for await (const { value } of list) seen.push(value);
    console.log(seen.join(" ") + " " + list.cursor);
    kv.close();
  "#;
  std::fs::write(folder.path().join("page.js"), script).unwrap();
  deno
    .args(["run", "-A", "--unstable-kv", "page.js", "kv.sqlite3"])
    .current_dir(folder.path());
  let theirs = success(&mut deno);
  let cursor = theirs.trim().strip_prefix("9 8 7 ").unwrap();
  let mut ours = kv(folder.path());
  ours
    .args(["page.js", "kv.sqlite3", cursor])
    .current_dir(folder.path());
  assert!(success(&mut ours).starts_with("6 5 4 "));
}
