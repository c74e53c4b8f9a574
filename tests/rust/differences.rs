//! Checks the list of engine differences in docs/engines.md against the engine of this build.

#![allow(
  clippy::unwrap_used,
  clippy::panic,
  reason = "a test fails by panicking"
)]

mod support;

use support::*;

/// The column of the list that must hold here.
const COLUMN: usize = if cfg!(feature = "quickjs") { 3 } else { 2 };

/// What is between the backticks of a table's cell.
fn code(cell: &str) -> &str {
  let code = cell
    .trim()
    .strip_prefix('`')
    .and_then(|code| code.strip_suffix('`'));
  code.unwrap_or_else(|| panic!("{cell} is no code"))
}

#[test]
fn the_engines_differ_as_the_page_says() {
  let page = std::fs::read_to_string(repository().join("docs/engines.md")).unwrap();
  let list = page.split("## What differs").nth(1).unwrap();
  let rows: Vec<Vec<&str>> = list
    .lines()
    .filter(|line| line.starts_with("| `"))
    .map(|line| line.split('|').collect())
    .collect();
  assert!(rows.len() >= 8, "{} rows", rows.len());

  let mut script = String::from("const kv = await Deno.openKv(':memory:');\n");
  for row in &rows {
    assert_eq!(row.len(), 5, "{row:?}");
    let expression = code(row[1]);
    script.push_str(&format!(
      "try {{ console.log(String({expression})); }} catch (e) {{ console.log(`${{e.name}}: ${{e.message}}`); }}\n"
    ));
  }
  let folder = tempfile::TempDir::new().unwrap();
  let file = folder.path().join("differences.js");
  std::fs::write(&file, &script).unwrap();
  let printed = success(kv(folder.path()).arg("run").arg(&file));
  let printed: Vec<&str> = printed.lines().collect();
  assert_eq!(printed.len(), rows.len(), "{printed:#?}");
  for (row, printed) in rows.iter().zip(printed) {
    assert_eq!(printed, code(row[COLUMN]), "{}", row[1]);
    assert_ne!(row[2], row[3], "no difference: {}", row[1]);
  }
}
