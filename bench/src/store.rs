//! Shows criterion's measurements of the store (`benches/store`) as ratios.

use std::path::Path;

use anyhow::{Context, Result};

use crate::table::{Cell, Row, Table};

/// The benchmark groups, and the upper bounds of our time relative to raw rusqlite's.
const GROUPS: [(&str, f64); 4] = [
  ("point read", 1.3),
  ("range of 100", 1.2),
  ("commit of one set", 1.2),
  ("64 commits at once", 1.3),
];

pub fn table(criterion: &Path) -> Result<Table> {
  let mut rows = Vec::new();
  for (group, bound) in GROUPS {
    let median = |function: &str| median(criterion, group, function);
    let (raw, ours, peer) = (median("raw")?, median("kv")?, median("denokv_sqlite")?);
    rows.push(Row {
      what: group.into(),
      cells: vec![
        Cell::Value(raw),
        Cell::Value(ours),
        Cell::at_most(ours / raw, bound),
        Cell::Value(peer),
        Cell::Ratio(peer / ours),
      ],
    });
  }
  Ok(Table {
    title: "The store: microseconds",
    columns: [
      "raw rusqlite",
      "kv_ext",
      "kv_ext / raw (at most)",
      "denokv_sqlite",
      "denokv_sqlite / kv_ext",
    ]
    .map(String::from)
    .to_vec(),
    rows,
  })
}

/// Microseconds.
fn median(criterion: &Path, group: &str, function: &str) -> Result<f64> {
  let file = criterion
    .join(group)
    .join(function)
    .join("new/estimates.json");
  let text = std::fs::read_to_string(&file)
    .with_context(|| format!("{}: run `cargo bench` first", file.display()))?;
  let estimates: serde_json::Value = serde_json::from_str(&text)?;
  let nanoseconds = estimates["median"]["point_estimate"].as_f64();
  Ok(nanoseconds.with_context(|| format!("{}: no median", file.display()))? / 1e3)
}
