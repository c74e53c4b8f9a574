//! Which files hold tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Returns the test files for the arguments: files as given, and in folders (by default the current one) the files that
/// `deno test` finds, sorted within each folder.
///
/// # Errors
/// A path does not exist, or a folder can't be read.
pub fn test_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
  let mut files = Vec::new();
  let here = [PathBuf::from(".")];
  let paths = if paths.is_empty() {
    here.as_slice()
  } else {
    paths
  };
  for path in paths {
    if path.is_dir() {
      walk(path, false, &mut files)?;
    } else if path.is_file() {
      files.push(path.clone());
    } else {
      bail!("{}: no such file or folder", path.display());
    }
  }
  Ok(files)
}

fn walk(folder: &Path, in_tests: bool, files: &mut Vec<PathBuf>) -> Result<()> {
  let mut entries = std::fs::read_dir(folder)
    .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
    .with_context(|| folder.display().to_string())?;
  entries.sort_by_key(std::fs::DirEntry::file_name);
  for entry in entries {
    let path = entry.path();
    let name = entry.file_name();
    let name = name.to_string_lossy();
    // Not through links: they can lead in circles.
    if entry.file_type()?.is_dir() {
      if !matches!(&*name, "node_modules" | ".git" | "target") {
        walk(&path, in_tests || name == "__tests__", files)?;
      }
    } else if path.is_file() && is_test(&name, in_tests) {
      files.push(path);
    }
  }
  Ok(())
}

fn is_test(name: &str, in_tests: bool) -> bool {
  const EXTENSIONS: [&str; 6] = ["ts", "tsx", "mts", "js", "mjs", "jsx"];
  name.rsplit_once('.').is_some_and(|(stem, extension)| {
    EXTENSIONS.contains(&extension)
      && (in_tests || stem == "test" || stem.ends_with("_test") || stem.ends_with(".test"))
  })
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn names_of_test_files() {
    for name in ["a_test.ts", "a.test.js", "test.mjs", "a_test.tsx"] {
      assert!(is_test(name, false), "{name}");
    }
    for name in ["a.ts", "atest.ts", "a_test.json", "a_test", "test"] {
      assert!(!is_test(name, false), "{name}");
    }
    assert!(is_test("helper.ts", true));
  }
}
