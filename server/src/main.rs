//! `kv-server`: serves Deno KV databases, without a JavaScript engine.

use std::process::ExitCode;

use clap::Parser;
use kv_server::ServeArgs;

/// Serve Deno KV databases to Deno, Node and kv.
#[derive(Parser)]
#[command(name = "kv-server", version, max_term_width = 100)]
struct Cli {
  #[command(flatten)]
  serve: ServeArgs,
}

fn main() -> ExitCode {
  match kv_server::serve(&Cli::parse().serve) {
    Ok(()) => ExitCode::SUCCESS,
    Err(error) => {
      eprintln!("error: {error:#}");
      ExitCode::FAILURE
    }
  }
}
