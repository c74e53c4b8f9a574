//! `kv`: runs and tests JavaScript and TypeScript with Deno KV.

#[macro_use]
mod screenful;

mod cli;
mod database;
mod fmt_error;
mod modules;
mod paths;
mod repl;
mod run;
mod test;
mod threads;
mod worker;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use deno_terminal::colors;

use cli::{Cli, Command, DatabaseArgs, RunArgs};
use serde_json::{Value, json};

fn main() -> ExitCode {
  let cli = Cli::parse();
  match dispatch(cli) {
    // The exit code that the script set, cut to the eight bits that systems keep.
    Ok(code) => ExitCode::from(code as u8),
    Err(error) => {
      use_color(std::io::stderr().is_terminal());
      eprintln!("{}", fmt_error::format_fatal(&error));
      ExitCode::FAILURE
    }
  }
}

fn dispatch(cli: Cli) -> Result<i32> {
  let command = match (cli.command, cli.run) {
    (Some(command), _) => command,
    (None, Some(run)) => Command::Run(run),
    // clap has printed its help.
    (None, None) => return Ok(2),
  };
  match command {
    Command::Run(args) => block_on(run_script(args)),
    Command::Test(args) => {
      use_color(std::io::stdout().is_terminal());
      block_on(test::test(args))
    }
    Command::Repl(args) => block_on(repl::repl(args)),
    Command::Get(args) => block_on(look("get", &args.database, json!({ "key": args.key }))),
    Command::List(args) => {
      let request = json!({
        "prefix": args.prefix,
        "start": args.start,
        "end": args.end,
        "limit": args.limit,
        "reverse": args.reverse,
      });
      block_on(look("list", &args.database, request))
    }
    Command::Set(args) => {
      let request = database::Request {
        function: "set",
        argument: json!({ "key": args.key, "value": args.value, "expireIn": args.expire_in }),
        creates: true,
      };
      block_on(database::run(&args.database, request))
    }
    Command::Delete(args) => block_on(look("delete", &args.database, json!({ "key": args.key }))),
    Command::Serve(args) => kv_server::serve(&args).map(|()| 0),
    Command::Path(args) => {
      let main_module = paths::module_url(&args.file)?;
      print(&format!(
        "{}\n",
        paths::default_database(&main_module)?.display()
      ))
    }
    Command::Types => print(kv_ext::TYPE_DECLARATIONS),
  }
}

async fn run_script(args: RunArgs) -> Result<i32> {
  use_color(std::io::stderr().is_terminal());
  run::run(args).await
}

/// A command on a database that must be there.
async fn look(function: &'static str, database: &DatabaseArgs, argument: Value) -> Result<i32> {
  let request = database::Request {
    function,
    argument,
    creates: false,
  };
  database::run(database, request).await
}

fn use_color(is_terminal: bool) {
  colors::set_use_color(is_terminal && !kv_bootstrap::no_color());
}

/// Prints to a pipe that may close early: `kv types | head` is no failure.
fn print(text: &str) -> Result<i32> {
  match std::io::stdout().write_all(text.as_bytes()) {
    Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
    _ => Ok(0),
  }
}

/// Runs the future on this thread, since a JavaScript engine can't move to another.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
  threads::must_start()?;
  tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .context("the event loop could not be made")?
    .block_on(async {
      #[cfg(unix)]
      survive_file_size_limit()?;
      future.await
    })
}

/// Makes a write beyond the limit on file size (`ulimit -f`) an error for the script. Unhandled, its signal would end
/// the process.
#[cfg(unix)]
fn survive_file_size_limit() -> Result<()> {
  use tokio::signal::unix::{SignalKind, signal};

  /// On Linux, macOS and the BSDs.
  const SIGXFSZ: i32 = 25;
  // Tokio's handler stays installed for the life of the process, even after this listener is dropped.
  let _listener = signal(SignalKind::from_raw(SIGXFSZ)).context("SIGXFSZ")?;
  Ok(())
}
