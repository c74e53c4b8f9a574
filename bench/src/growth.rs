//! How cost grows: with the number of keys, with the length of a list, and with what others write.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::program::Program;
use crate::table::{Cell, Row, Table, median};

const FEW: &str = "10000";
const MANY: &str = "5000000";

/// Upper bound: the time of `get` among five million keys, relative to ten thousand.
const GET_BOUND: f64 = 2.5;
/// Upper bound: memory late in a run, relative to early. It only varies with the garbage collector.
const MEMORY_BOUND: f64 = 1.3;
/// Upper bound: the 99th percentile of `get` beside a busy writer, relative to `get` alone.
const BUSY_BOUND: f64 = 3.0;

/// Upper bound: the time of a commit beside many watchers of other keys, relative to none. The store only looks up a
/// table; the rest is the garbage collector, which has more objects to trace.
const WATCHED_BOUND: f64 = 1.2;
/// Upper bound: the 99th percentile of `set` while expired rows are removed, relative to `set` alone.
const EXPIRY_BOUND: f64 = 10.0;
/// When the rows expire, in milliseconds after the script's start.
const EXPIRY_MS: &str = "60000";

fn numbers(printed: &str) -> Result<Vec<f64>> {
  printed
    .split_whitespace()
    .map(|number| number.parse().with_context(|| printed.to_owned()))
    .collect()
}

/// Two numbers that a script prints.
fn pair(kv: &Program, script: &str, folder: &Path, arguments: &[String]) -> Result<(f64, f64)> {
  let printed = numbers(&kv.run(script, folder, arguments)?)?;
  match printed[..] {
    [before, after] => Ok((before, after)),
    _ => bail!("{script} printed {printed:?}"),
  }
}

/// The same several times, in an empty folder each: the medians.
fn medians(kv: &Program, script: &str, arguments: &[String], rounds: usize) -> Result<(f64, f64)> {
  let pairs = (0..rounds).map(|_| {
    let folder = tempfile::tempdir_in("target")?;
    pair(kv, script, folder.path(), arguments)
  });
  let (before, after) = pairs.collect::<Result<(Vec<_>, Vec<_>)>>()?;
  Ok((median(before), median(after)))
}

/// What was measured before and after, and how the one grew to the other.
fn row(what: &str, (before, after): (f64, f64), bound: impl Into<Option<f64>>) -> Row {
  let ratio = after / before;
  let ratio = match bound.into() {
    Some(bound) => Cell::at_most(ratio, bound),
    None => Cell::Ratio(ratio),
  };
  Row {
    what: what.into(),
    cells: vec![Cell::Value(before), Cell::Value(after), ratio],
  }
}

pub fn measure(kv: &Program, rounds: usize) -> Result<Table> {
  let few = tempfile::tempdir_in("target")?;
  let many = tempfile::tempdir_in("target")?;
  kv.run("grow_fill.js", few.path(), &[FEW.into()])?;
  kv.run("grow_fill.js", many.path(), &[MANY.into()])?;
  let mapped = Program::kv_mapped("kv", &kv.binary)?;
  let [mut gets_few, mut gets_many, mut gets_mapped] = [const { Vec::new() }; 3];
  for _ in 0..rounds {
    gets_few.push(kv.measure("grow_get.js", few.path(), &[FEW.into()])?);
    gets_many.push(kv.measure("grow_get.js", many.path(), &[MANY.into()])?);
    gets_mapped.push(mapped.measure("grow_get.js", many.path(), &[MANY.into()])?);
  }
  let get_few = median(gets_few);
  let rows = vec![
    row(
      "`get`, µs: 10 thousand keys, 5 million",
      (get_few, median(gets_many)),
      GET_BOUND,
    ),
    row(
      "the same with `--mmap-size 2000000000` for the 5 million",
      (get_few, median(gets_mapped)),
      None,
    ),
    row(
      "memory, MB: after a million entries of a list, up to 5 million",
      pair(kv, "grow_list.js", many.path(), &[MANY.into()])?,
      MEMORY_BOUND,
    ),
    row(
      "99th percentile of `get`, µs: in peace, beside a task that writes by its own handle",
      medians(kv, "busy.js", &[], rounds)?,
      BUSY_BOUND,
    ),
    row(
      "`:memory:` `set`, µs: alone, beside 10,000 watchers of other keys",
      medians(kv, "watch_many.js", &[], rounds)?,
      WATCHED_BOUND,
    ),
    row(
      "99th percentile of `set`, µs: in peace, while a million expired rows are removed",
      medians(kv, "expire_many.js", &[EXPIRY_MS.into()], 1)?,
      EXPIRY_BOUND,
    ),
    row(
      "memory, MB, with a million messages waiting: for the first 100,000 that are handled, for the next 200,000",
      medians(kv, "queue_many.js", &[], 1)?,
      MEMORY_BOUND,
    ),
  ];
  Ok(Table {
    title: "How cost grows",
    columns: ["before", "after", "ratio (at most)"]
      .map(String::from)
      .to_vec(),
    rows,
  })
}
