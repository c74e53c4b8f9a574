//! Both engines beside Deno: size, start, memory, speed. For docs/engines.md.

use std::time::Instant;

use anyhow::Result;

use crate::program::Program;
use crate::table::{Cell, Row, Table, median};

/// Scripts that print a number.
const SCRIPTS: [(&str, &str); 5] = [
  ("memory.js", "memory with a database open, MB"),
  ("get.js", "`get` of a small object, one after another, µs"),
  (
    "set_memory.js",
    "`set` in `:memory:`, one after another, µs",
  ),
  ("list.js", "`list`, default batches, µs an entry"),
  ("compute.js", "a loop of integers, ns a turn"),
];

/// The last program is the one that the others are compared with.
pub fn measure(programs: &[&Program], rounds: usize) -> Result<Table> {
  let mut rows = Vec::new();
  let mut add = |what: &str, values: &[f64]| {
    let last = values.last().copied().unwrap_or(f64::NAN);
    let cells = values.iter().map(|value| Cell::Relative {
      value: *value,
      ratio: value / last,
    });
    rows.push(Row {
      what: what.into(),
      cells: cells.collect(),
    });
  };

  let sizes = programs
    .iter()
    .map(|program| Ok(program.binary.metadata()?.len() as f64 / 1e6))
    .collect::<Result<Vec<_>>>()?;
  add("size of the binary, MB", &sizes);

  let mut starts = vec![Vec::new(); programs.len()];
  for _ in 0..rounds * 3 {
    for (program, times) in programs.iter().zip(&mut starts) {
      let folder = tempfile::tempdir()?;
      let started = Instant::now();
      program.run("empty.js", folder.path(), &[])?;
      times.push(started.elapsed().as_secs_f64() * 1e3);
    }
  }
  let starts: Vec<_> = starts.into_iter().map(median).collect();
  add("an empty script, whole process, ms", &starts);

  for (script, what) in SCRIPTS {
    let mut values = vec![Vec::new(); programs.len()];
    for _ in 0..rounds {
      for (program, values) in programs.iter().zip(&mut values) {
        let folder = tempfile::tempdir()?;
        values.push(program.measure(script, folder.path(), &[])?);
      }
    }
    let values: Vec<_> = values.into_iter().map(median).collect();
    add(what, &values);
  }
  Ok(Table {
    title: "Engines",
    columns: programs
      .iter()
      .map(|program| program.name.to_owned())
      .collect(),
    rows,
  })
}
