//! The same script on `kv` and on Deno, and the same work with `node:sqlite`, in one run.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::program::Program;
use crate::table::{Cell, Row, Table, median};

/// One thing to measure.
struct Measured {
  what: &'static str,
  /// The script, on both programs.
  script: &'static str,
  /// A script that makes the file first, where that is not measured.
  prepare: Option<&'static str>,
  /// Deno's time over ours must be at least this.
  over_deno: f64,
  /// A script that does the same with `node:sqlite`, and the upper bound of our time relative to its.
  sqlite: Option<(&'static str, f64)>,
  /// Multiplies the number of rounds.
  rounds: usize,
}

/// For scripts that mostly wait for syncs, which take between 80 and 200 µs depending on the disk.
const DISK_ROUNDS: usize = 3;

const fn measured(what: &'static str, script: &'static str, over_deno: f64) -> Measured {
  Measured {
    what,
    script,
    prepare: None,
    over_deno,
    sqlite: None,
    rounds: 1,
  }
}

const MEASURED: [Measured; 14] = [
  Measured {
    sqlite: Some(("sqlite_get.js", 1.0)),
    ..measured("`get`, one after another, 20k keys", "get.js", 12.0)
  },
  measured("`getMany` of 10 keys", "get_many.js", 6.0),
  Measured {
    sqlite: Some(("sqlite_list.js", 1.5)),
    ..measured("`list`, an entry", "list.js", 3.0)
  },
  Measured {
    sqlite: Some(("sqlite_list.js", 1.5)),
    ..measured(
      "`list` with `batchSize: 1000`, an entry",
      "list_1000.js",
      2.0,
    )
  },
  Measured {
    sqlite: Some(("sqlite_set.js", 1.0)),
    rounds: DISK_ROUNDS,
    ..measured("`set`, one after another", "set.js", 1.2)
  },
  Measured {
    sqlite: Some(("sqlite_set_counter.js", 1.0)),
    rounds: DISK_ROUNDS,
    ..measured(
      "the same, beside `node:sqlite` with a commit counter",
      "set.js",
      1.2,
    )
  },
  measured("1,000 `set` at once, each", "set_at_once.js", 20.0),
  measured(
    "500 `set` and 500 `get` by turns at once, each",
    "mixed_at_once.js",
    10.0,
  ),
  measured(
    "100 `atomic` of 10 `set` and a check at once, each",
    "atomic_at_once.js",
    5.0,
  ),
  measured("`:memory:` `get`, one after another", "get_memory.js", 12.0),
  measured("`:memory:` `set`, one after another", "set_memory.js", 6.0),
  measured("a message through a queue, 5,000 of them", "queue.js", 15.0),
  // In Deno, the time it polls for. Two milliseconds are the most here.
  measured(
    "`:memory:` message, from `enqueue` to its handler",
    "queue_latency.js",
    20.0,
  ),
  Measured {
    prepare: Some("open_fill.js"),
    ..measured("`openKv` and first `get`", "open.js", 3.0)
  },
];

pub fn measure(kv: &Program, deno: &Program, rounds: usize) -> Result<Table> {
  let mut rows = Vec::new();
  for measured in &MEASURED {
    let [mut ours, mut theirs, mut sqlite] = [const { Vec::new() }; 3];
    for _ in 0..rounds * measured.rounds {
      ours.push(run(kv, measured.script, measured.prepare)?);
      theirs.push(run(deno, measured.script, measured.prepare)?);
      if let Some((script, _)) = measured.sqlite {
        sqlite.push(run(deno, script, None)?);
      }
    }
    let (ours, theirs, sqlite) = (median(ours), median(theirs), median(sqlite));
    let beside_sqlite = match measured.sqlite {
      Some((_, bound)) => [Cell::Value(sqlite), Cell::at_most(ours / sqlite, bound)],
      None => [Cell::None, Cell::None],
    };
    let mut cells = vec![
      Cell::Value(ours),
      Cell::Value(theirs),
      Cell::at_least(theirs / ours, measured.over_deno),
    ];
    cells.extend(beside_sqlite);
    rows.push(Row {
      what: measured.what.into(),
      cells,
    });
  }
  let fsync = raw_fsync(Path::new("."))?;
  rows.push(Row {
    what: "one raw `fsync` of 4 KB".into(),
    cells: vec![
      Cell::Value(fsync),
      Cell::None,
      Cell::None,
      Cell::None,
      Cell::None,
    ],
  });
  Ok(Table {
    title: "Scripts: microseconds",
    columns: [
      "kv",
      "Deno",
      "Deno / kv (at least)",
      "node:sqlite",
      "kv / node:sqlite (at most)",
    ]
    .map(String::from)
    .to_vec(),
    rows,
  })
}

fn run(program: &Program, script: &str, prepare: Option<&str>) -> Result<f64> {
  // On the disk that the project is on: the system's folder for temporary files may be in memory.
  let folder = tempfile::tempdir_in("target")?;
  if let Some(prepare) = prepare {
    program.run(prepare, folder.path(), &[])?;
  }
  program.measure(script, folder.path(), &[])
}

/// Measures, in microseconds, overwriting and syncing a page: the lower bound of a durable write.
fn raw_fsync(folder: &Path) -> Result<f64> {
  const PAGES: usize = 300;
  let mut file = tempfile::tempfile_in(folder.join("target"))?;
  let page = [1; 4096];
  for _ in 0..PAGES {
    file.write_all(&page)?;
  }
  file.sync_all()?;
  std::io::Seek::rewind(&mut file)?;
  let sync = |file: &mut File| -> Result<f64> {
    let started = Instant::now();
    file.write_all(&page)?;
    file.sync_all()?;
    Ok(started.elapsed().as_secs_f64() * 1e6)
  };
  let times: Vec<_> = (0..PAGES).map(|_| sync(&mut file)).collect::<Result<_>>()?;
  Ok(median(times))
}
