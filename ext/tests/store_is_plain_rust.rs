//! The storage engine, and the vocabulary it speaks, must not know `deno_core` or V8: a remote or
//! a distributed engine, and Rust programs without JavaScript, use the same code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

fn rust_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
  for entry in std::fs::read_dir(folder).unwrap() {
    let path = entry.unwrap().path();
    if path.is_dir() {
      rust_files(&path, files);
    } else if path.extension().is_some_and(|extension| extension == "rs") {
      files.push(path);
    }
  }
}

#[test]
fn no_engine_in_the_store() {
  let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
  let mut files = vec![
    src.join("value.rs"),
    src.join("versionstamp.rs"),
    src.join("selector.rs"),
  ];
  rust_files(&src.join("store"), &mut files);
  rust_files(&src.join("key"), &mut files);
  assert!(files.len() > 15, "{files:?}");
  for file in files {
    let source = std::fs::read_to_string(&file).unwrap();
    for line in source
      .lines()
      .filter(|line| !line.trim_start().starts_with("//"))
    {
      for word in [
        "deno_core",
        "deno_error",
        "v8::",
        "JsError",
        "crate::ops",
        "crate::error",
      ] {
        assert!(!line.contains(word), "{}: {line}", file.display());
      }
    }
  }
}
