//! Measures `kv` beside its peers in one run: absolute times on a shared machine mean little, so every
//! figure stands beside another program's.

mod chart;
mod engines;
mod growth;
mod program;
mod remote;
mod scripts;
mod store;
mod table;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use program::Program;

/// Measure kv beside Deno, node:sqlite and raw SQLite
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
  /// `kv-server`, built for release
  #[arg(long)]
  server: PathBuf,
  /// The reference server, denokv 0.14
  #[arg(long)]
  denokv: Option<PathBuf>,
  /// A folder in which Node finds @deno/kv
  #[arg(long)]
  node: Option<PathBuf>,
  /// Rounds; each program has its turn in each, and the medians are shown
  #[arg(long, default_value_t = 15)]
  rounds: usize,
  /// Parts to measure. Default: all
  #[arg(long, value_enum)]
  only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
  /// The same scripts on kv, Deno and node:sqlite
  Scripts,
  /// The store beside raw rusqlite and denokv_sqlite: what criterion has measured last
  Store,
  /// How cost grows
  Growth,
  /// V8 and QuickJS
  Engines,
  /// kv-server beside denokv
  Remote,
}

fn main() -> Result<()> {
  let args = Args::parse();
  let v8 = Program::kv("kv, V8", &args.v8)?;
  let quickjs = Program::kv("kv, QuickJS", &args.quickjs)?;
  let deno = Program::deno("Deno", &args.deno)?;
  let wanted = |part| args.only.is_empty() || args.only.contains(&part);

  println!("Medians of {} rounds.", args.rounds);
  let mut tables = Vec::new();
  let mut add = |table: table::Table| {
    table.print();
    tables.push(table);
  };
  if wanted(Part::Scripts) {
    let table = scripts::measure(&v8, &deno, args.rounds)?;
    chart::draw(&table, "docs/performance.svg".as_ref())?;
    add(table);
  }
  if wanted(Part::Store) {
    add(store::table("target/criterion".as_ref())?);
  }
  if wanted(Part::Growth) {
    add(growth::measure(&v8, args.rounds.min(5))?);
  }
  if wanted(Part::Engines) {
    add(engines::measure(&[&v8, &quickjs, &deno], args.rounds)?);
  }
  if wanted(Part::Remote) {
    match &args.denokv {
      Some(denokv) => {
        let tools = remote::Tools {
          kv: &v8,
          deno: &deno,
          kv_server: &args.server,
          denokv,
          node: args.node.as_deref(),
        };
        for table in remote::measure(&tools, args.rounds.min(5))? {
          add(table);
        }
      }
      None => println!("\nNot measured: remote databases, without denokv (--denokv)"),
    }
  }
  std::fs::write("target/bench.json", serde_json::to_string_pretty(&tables)?)?;
  println!("\nThe same as JSON: target/bench.json");
  Ok(())
}
