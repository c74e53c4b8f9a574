//! How cost grows: with the number of keys, with the length of a list, and with what others write.

use anyhow::{Context, Result};

use crate::program::Program;
use crate::table::{Cell, Row, Table, median};

const FEW: &str = "10000";
const MANY: &str = "5000000";

/// At most: `get` among five million keys over `get` among ten thousand.
const GET_BOUND: f64 = 2.0;
/// At most: memory late in a list over memory early in it. It is flat but for the garbage collector's
/// moods.
const MEMORY_BOUND: f64 = 1.3;
/// At most: the 99th percentile of a `get` beside a busy writer over the same in peace.
const BUSY_BOUND: f64 = 3.0;

fn numbers(printed: &str) -> Result<Vec<f64>> {
  printed
    .split_whitespace()
    .map(|number| number.parse().with_context(|| printed.to_owned()))
    .collect()
}

pub fn measure(kv: &Program, rounds: usize) -> Result<Table> {
  let few = tempfile::tempdir_in("target")?;
  let many = tempfile::tempdir_in("target")?;
  kv.run("grow_fill.js", few.path(), &[FEW.into()])?;
  kv.run("grow_fill.js", many.path(), &[MANY.into()])?;
  let mut rows = Vec::new();
  let mut add = |what: &str, before: f64, after: f64, bound: f64| {
    rows.push(Row {
      what: what.into(),
      cells: vec![
        Cell::Value(before),
        Cell::Value(after),
        Cell::at_most(after / before, bound),
      ],
    });
  };

  let [mut gets_few, mut gets_many, mut idle, mut busy] = [const { Vec::new() }; 4];
  for _ in 0..rounds {
    gets_few.push(kv.measure("grow_get.js", few.path(), &[FEW.into()])?);
    gets_many.push(kv.measure("grow_get.js", many.path(), &[MANY.into()])?);
    let folder = tempfile::tempdir_in("target")?;
    let printed = numbers(&kv.run("busy.js", folder.path(), &[])?)?;
    idle.extend(printed.first());
    busy.extend(printed.get(1));
  }
  add(
    "`get`, µs: 10 thousand keys, 5 million",
    median(gets_few),
    median(gets_many),
    GET_BOUND,
  );
  let memory = numbers(&kv.run("grow_list.js", many.path(), &[MANY.into()])?)?;
  let (Some(early), Some(late)) = (memory.first(), memory.get(1)) else {
    anyhow::bail!("grow_list.js printed {memory:?}");
  };
  add(
    "memory, MB: after 100 thousand entries of a list, up to 5 million",
    *early,
    *late,
    MEMORY_BOUND,
  );
  add(
    "99th percentile of `get`, µs: in peace, beside a task that writes",
    median(idle),
    median(busy),
    BUSY_BOUND,
  );
  Ok(Table {
    title: "How cost grows",
    columns: ["before", "after", "ratio (at most)"]
      .map(String::from)
      .to_vec(),
    rows,
  })
}
