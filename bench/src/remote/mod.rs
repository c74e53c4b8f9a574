//! `kv-server` beside the reference server, denokv: the same clients on both, in one run.

mod load;
mod servers;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program::{Program, TOKEN};
use crate::table::{Cell, Row, Table, median};
use load::{Request, requests_each_second};
use servers::Server;

/// The figures of scripts/remote.js.
const CALLS: [&str; 6] = [
  "`get`",
  "`getMany` of 10",
  "`list` of 500",
  "durable `set`",
  "`atomic` of 10 `set`",
  "from `set` to a watcher",
];

/// Lower bounds of the reference server's time over ours: Deno's calls one after another.
const DENO_BOUNDS: [Option<f64>; 6] = [Some(40.0), None, None, Some(30.0), None, None];

/// Clients of the load generator, with the lower bounds of our rate over the reference server's, for reads and writes.
const LOADS: [(usize, Option<f64>, Option<f64>); 3] = [
  (1, None, None),
  (16, None, None),
  (256, Some(2.0), Some(3.0)),
];

/// Upper bound: resident MB of the server with a thousand watches.
const WATCHED_MB: f64 = 50.0;
/// Upper bound: a `get` of our client relative to an echo of the same size by the same HTTP library.
const ECHO_BOUND: f64 = 1.5;

/// What is measured with.
pub struct Tools<'t> {
  pub kv: &'t Program,
  pub deno: &'t Program,
  pub kv_server: &'t Path,
  pub denokv: &'t Path,
  /// A folder in which Node finds @deno/kv.
  pub node: Option<&'t Path>,
}

/// A client that runs scripts/remote.js.
enum Client<'t> {
  Program(&'t Program),
  Node(&'t Path),
}

impl Client<'_> {
  fn name(&self) -> &'static str {
    match self {
      Self::Program(program) => program.name,
      Self::Node(_) => "@deno/kv on Node",
    }
  }

  /// The six figures.
  fn run(&self, server: &Server, calls: usize) -> Result<Vec<f64>> {
    let arguments = [server.url(), calls.to_string()];
    let printed = match self {
      Self::Program(program) => program.run("remote.js", server.folder(), &arguments)?,
      Self::Node(folder) => {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/remote.js");
        let copy = folder.join("remote.mjs");
        std::fs::copy(script, &copy)?;
        let output = Command::new("node")
          .arg(copy)
          .args(&arguments)
          .env("DENO_KV_ACCESS_TOKEN", TOKEN)
          .output()?;
        if !output.status.success() {
          bail!("node: {}", String::from_utf8_lossy(&output.stderr));
        }
        String::from_utf8(output.stdout)?
      }
    };
    let figures = printed.split_whitespace().map(str::parse);
    figures
      .collect::<Result<Vec<f64>, _>>()
      .with_context(|| printed.clone())
  }
}

pub fn measure(tools: &Tools<'_>, rounds: usize) -> Result<Vec<Table>> {
  // Programs find their token in the environment.
  let mut clients = vec![Client::Program(tools.deno)];
  clients.extend(tools.node.map(Client::Node));
  clients.push(Client::Program(tools.kv));
  let ours = || Server::kv(tools.kv_server);
  let reference = || Server::denokv(tools.denokv);
  Ok(vec![
    calls(&clients, rounds, ours, reference)?,
    load(rounds, ours, reference)?,
    watches(tools, rounds)?,
  ])
}

fn calls(
  clients: &[Client<'_>],
  rounds: usize,
  ours: impl Fn() -> Result<Server>,
  reference: impl Fn() -> Result<Server>,
) -> Result<Table> {
  let mut rows = Vec::new();
  for client in clients {
    let mut figures: [Vec<Vec<f64>>; 2] = Default::default();
    for _ in 0..rounds {
      figures[0].push(client.run(&ours()?, 400)?);
      // Deno waits 44 ms for each call there.
      figures[1].push(client.run(&reference()?, 40)?);
    }
    for (index, call) in CALLS.iter().enumerate() {
      let of = |figures: &[Vec<f64>]| median(figures.iter().map(|round| round[index]).collect());
      let (ours, theirs) = (of(&figures[0]), of(&figures[1]));
      let bound = DENO_BOUNDS[index].filter(|_| client.name() == "Deno");
      rows.push(Row {
        what: format!("{}, {call}", client.name()),
        cells: vec![
          Cell::Value(ours),
          Cell::Value(theirs),
          match bound {
            Some(bound) => Cell::at_least(theirs / ours, bound),
            None => Cell::Ratio(theirs / ours),
          },
        ],
      });
    }
  }
  Ok(Table {
    title: "Over the network: clients, one call after another, µs",
    columns: ["kv-server", "denokv", "denokv / kv-server (at least)"]
      .map(String::from)
      .to_vec(),
    rows,
  })
}

fn load(
  rounds: usize,
  ours: impl Fn() -> Result<Server>,
  reference: impl Fn() -> Result<Server>,
) -> Result<Table> {
  let mut rows = Vec::new();
  for (connections, read_bound, write_bound) in LOADS {
    for (request, bound) in [(Request::Get, read_bound), (Request::Set, write_bound)] {
      let mut rates: [Vec<f64>; 2] = Default::default();
      for _ in 0..rounds {
        rates[0].push(requests_each_second(&ours()?, request, connections)?);
        rates[1].push(requests_each_second(&reference()?, request, connections)?);
      }
      let [ours, theirs] = rates.map(median);
      rows.push(Row {
        what: format!("{}, {connections} connections", request.name()),
        cells: vec![
          Cell::Value(ours),
          Cell::Value(theirs),
          match bound {
            Some(bound) => Cell::at_least(ours / theirs, bound),
            None => Cell::Ratio(ours / theirs),
          },
        ],
      });
    }
  }
  Ok(Table {
    title: "Over the network: requests a second, HTTP/1.1",
    columns: ["kv-server", "denokv", "kv-server / denokv (at least)"]
      .map(String::from)
      .to_vec(),
    rows,
  })
}

/// A server with a thousand watches, and our client beside an echo.
fn watches(tools: &Tools<'_>, rounds: usize) -> Result<Table> {
  let kv = Client::Program(tools.kv);
  let [mut alone, mut beside, mut memory, mut gets, mut echoes] = [const { Vec::new() }; 5];
  for _ in 0..rounds {
    let server = Server::kv(tools.kv_server)?;
    let figures = kv.run(&server, 400)?;
    gets.push(figures[0]);
    alone.push(figures[5]);
    let watches = load::watch(&server, 1000)?;
    beside.push(kv.run(&server, 400)?[5]);
    memory.push(server.resident_mb()?);
    drop(watches);
    let echo = load::Echo::start()?;
    let printed = tools.kv_client_of_echo(&echo)?;
    echoes.push(printed);
  }
  let (alone, beside) = (median(alone), median(beside));
  let (get, echo) = (median(gets), median(echoes));
  Ok(Table {
    title: "Over the network: watches, and what the client costs",
    columns: ["before", "after", "ratio (at most)"]
      .map(String::from)
      .to_vec(),
    rows: vec![
      Row {
        what: "from `set` to a watcher, µs: alone, beside 1,000 watches of another key".into(),
        cells: vec![
          Cell::Value(alone),
          Cell::Value(beside),
          Cell::Ratio(beside / alone),
        ],
      },
      Row {
        what: "memory of the server with 1,000 watches, MB, beside 50".into(),
        cells: vec![
          Cell::Value(WATCHED_MB),
          Cell::Value(median(memory.clone())),
          Cell::at_most(median(memory) / WATCHED_MB, 1.0),
        ],
      },
      Row {
        what: "`get` of kv's client, µs: an echo of the same size, the server".into(),
        cells: vec![
          Cell::Value(echo),
          Cell::Value(get),
          Cell::at_most(get / echo, ECHO_BOUND),
        ],
      },
    ],
  })
}

impl Tools<'_> {
  /// A `get` of kv's own client, in a script, against a server that answers every request with the same bytes.
  fn kv_client_of_echo(&self, echo: &load::Echo) -> Result<f64> {
    let folder = tempfile::tempdir_in("target")?;
    self.kv.measure(
      "remote_echo.js",
      folder.path(),
      &[echo.url(), "2000".into()],
    )
  }
}
