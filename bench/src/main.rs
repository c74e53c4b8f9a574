//! Measures the same scripts on `kv` with each engine and on Deno, in one run: absolute times on a
//! shared machine mean little, so every figure stands beside Deno's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;

/// Compare engines and Deno: size, start, memory, speed
#[derive(Parser)]
struct Args {
  /// `kv`, built for release with V8
  #[arg(long)]
  v8: PathBuf,
  /// `kv`, built for release with QuickJS
  #[arg(long)]
  quickjs: PathBuf,
  /// The real Deno
  #[arg(long)]
  deno: PathBuf,
  /// Rounds; each program has its turn in each, and the medians are shown
  #[arg(long, default_value_t = 15)]
  rounds: usize,
}

struct Program {
  name: &'static str,
  binary: PathBuf,
  /// What comes before the script.
  arguments: &'static [&'static str],
}

impl Program {
  fn run(&self, script: &Path, folder: &Path) -> Result<String> {
    let output = Command::new(&self.binary)
      .args(self.arguments)
      .arg(script)
      .current_dir(folder)
      .env("KV_DATA_DIR", folder)
      .stderr(Stdio::inherit())
      .output()
      .with_context(|| self.binary.display().to_string())?;
    if !output.status.success() {
      bail!("{}: {} failed", self.name, script.display());
    }
    Ok(String::from_utf8(output.stdout)?)
  }
}

/// What a script prints: a number.
const MEASURED: [(&str, &str); 5] = [
  ("memory.js", "memory with a database open, MB"),
  ("get.js", "get of a small object, one after another, µs"),
  ("set_memory.js", "set in :memory:, one after another, µs"),
  ("list.js", "list, default batches, µs an entry"),
  ("compute.js", "computing: a loop of integers, ns a turn"),
];

fn median(mut values: Vec<f64>) -> f64 {
  values.sort_by(f64::total_cmp);
  values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn row(name: &str, values: &[f64]) {
  let deno = values.last().copied().unwrap_or(f64::NAN);
  let cells: Vec<String> = values
    .iter()
    .map(|value| format!("{value:.1} ({:.2}×)", value / deno))
    .collect();
  println!("| {name} | {} |", cells.join(" | "));
}

fn main() -> Result<()> {
  let args = Args::parse();
  let programs = [
    Program {
      name: "kv, V8",
      binary: args.v8.canonicalize()?,
      arguments: &["run"],
    },
    Program {
      name: "kv, QuickJS",
      binary: args.quickjs.canonicalize()?,
      arguments: &["run"],
    },
    Program {
      name: "Deno",
      binary: args.deno.canonicalize()?,
      arguments: &["run", "-A", "--unstable-kv", "--no-check"],
    },
  ];
  let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
  let names: Vec<_> = programs.iter().map(|program| program.name).collect();
  println!(
    "Medians of {} rounds; in parentheses, relative to Deno.\n",
    args.rounds
  );
  println!("| | {} |", names.join(" | "));
  println!("| --- |{}", " --- |".repeat(names.len()));

  let sizes = programs
    .iter()
    .map(|program| Ok(program.binary.metadata()?.len() as f64 / 1e6))
    .collect::<Result<Vec<_>>>()?;
  row("size of the binary, MB", &sizes);

  let mut starts = vec![Vec::new(); programs.len()];
  for _ in 0..args.rounds * 3 {
    for (program, times) in programs.iter().zip(&mut starts) {
      let folder = tempfile::tempdir()?;
      let started = Instant::now();
      program.run(&scripts.join("empty.js"), folder.path())?;
      times.push(started.elapsed().as_secs_f64() * 1e3);
    }
  }
  row(
    "an empty script, whole process, ms",
    &starts.into_iter().map(median).collect::<Vec<_>>(),
  );

  for (script, what) in MEASURED {
    let mut values = vec![Vec::new(); programs.len()];
    for _ in 0..args.rounds {
      for (program, values) in programs.iter().zip(&mut values) {
        let folder = tempfile::tempdir()?;
        let printed = program.run(&scripts.join(script), folder.path())?;
        values.push(
          printed
            .trim()
            .parse()
            .with_context(|| format!("{script}: {printed}"))?,
        );
      }
    }
    row(what, &values.into_iter().map(median).collect::<Vec<_>>());
  }
  Ok(())
}
