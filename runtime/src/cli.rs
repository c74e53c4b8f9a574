//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Run and test JavaScript and TypeScript with Deno KV built in.
///
/// Every script has its own database: Deno.openKv() opens it, durable and transactional, with no
/// server and no set-up.
#[derive(Parser)]
#[command(
  name = "kv",
  version,
  max_term_width = 100,
  subcommand_negates_reqs = true,
  args_conflicts_with_subcommands = true,
  arg_required_else_help = true,
  after_help = "Examples:
  kv app.ts                     run a script
  kv run app.ts --port 80       what follows the file is the script's: Deno.args
  kv test                       run all tests below this folder
  kv test --filter transfer     only those with 'transfer' in their name
  kv repl --script app.ts       a prompt, with app.ts's database open
  kv list --db data.sqlite3     what is in a database
  kv serve data.sqlite3         serve a database to other machines
  kv types > kv.d.ts            declarations for your editor"
)]
pub struct Cli {
  #[command(subcommand)]
  pub command: Option<Command>,

  #[command(flatten)]
  pub run: Option<RunArgs>,
}

#[derive(Subcommand)]
pub enum Command {
  /// Run a script
  #[command(after_help = "Example:
  kv run examples/getting_started.ts")]
  Run(RunArgs),
  /// Run tests: what Deno.test has registered, each file in a fresh runtime
  #[command(
    after_help = "With no files, runs those below this folder that are named
*_test.ts, *.test.ts or test.ts (also .js, .mjs, .mts, .jsx, .tsx), and those in __tests__ folders.

Examples:
  kv test
  kv test tests/js/list_test.ts
  kv test --filter '/^list/' --fail-fast"
  )]
  Test(TestArgs),
  /// A prompt with `kv` open: evaluates JavaScript and TypeScript
  #[command(
    after_help = "The database is `kv`: in memory, unless one is named. Top-level await works, what is
declared may be declared again, _ is the last value and _error the last error. Tab completes; Ctrl+C
stops what runs; Ctrl+D ends. Lines from a pipe are evaluated as well.

Examples:
  kv repl --db data.sqlite3
  echo 'await kv.get([\"visits\"])' | kv repl --script app.ts"
  )]
  Repl(ReplArgs),
  /// Print the value of a key
  #[command(
    after_help = "Prints as console.log does, or into a pipe as JSON. Exit code 1: the key is not set.

Examples:
  kv get '[\"users\", \"ada\"]' --script app.ts
  kv get '[\"visits\", 1n]' --db data.sqlite3 | jq .value"
  )]
  Get(KeyArgs),
  /// Print the keys of a database and their values, in order
  #[command(
    after_help = "Prints as console.log does, or into a pipe as JSON, an entry a line.

Examples:
  kv list --db data.sqlite3
  kv list '[\"users\"]' --script app.ts --limit 10
  kv list '[\"logs\"]' --start '[\"logs\", 2026]' --db data.sqlite3 > logs.jsonl"
  )]
  List(ListArgs),
  /// Set a key
  #[command(
    after_help = "The value is JavaScript, as in a script. The database is made if there is none.

Examples:
  kv set '[\"users\", \"ada\"]' '{ name: \"Ada\", born: new Date(\"1815-12-10\") }' --db data.sqlite3
  kv set '[\"visits\"]' 'new Deno.KvU64(1n)' --script app.ts --expire-in 60000"
  )]
  Set(SetArgs),
  /// Delete a key
  #[command(after_help = "Exit code 1: the key is not set.

Example:
  kv delete '[\"users\", \"ada\"]' --db data.sqlite3")]
  Delete(KeyArgs),
  /// Serve databases to Deno, Node and kv on other machines
  #[command(
    after_help = "It prints how to connect. On SIGTERM and Ctrl+C it completes the requests in flight and exits; on SIGHUP
it reloads tokens and certificate.

Examples:
  kv serve app.sqlite3
  kv serve --dir data/ --addr 0.0.0.0:4512 --tls-cert cert.pem --tls-key key.pem --token-file tokens"
  )]
  Serve(Box<kv_server::ServeArgs>),
  /// Print where a script's default database is
  #[command(after_help = "Example:
  sqlite3 \"$(kv path app.ts)\" .schema")]
  Path(PathArgs),
  /// Print the TypeScript declarations of the KV API
  #[command(after_help = "Example:
  kv types > kv.d.ts")]
  Types,
}

#[derive(Args)]
pub struct RunArgs {
  /// What a write survives when its promise resolves
  #[arg(long, value_name = "LEVEL", default_value = "full")]
  pub durability: Durability,
  /// Cache at most so many bytes of a database for each connection [default: 16 MiB]
  #[arg(long, value_name = "BYTES")]
  pub cache_size: Option<u64>,
  /// Let SQLite map so many bytes of a database into memory, for reads from all over a large file. With a map, a
  /// disk error or a file that is cut short ends the process (SIGBUS)
  #[arg(long, value_name = "BYTES", default_value_t = 0)]
  pub mmap_size: u64,
  /// The script: a JavaScript or TypeScript module
  pub file: PathBuf,
  /// What the script finds in Deno.args
  #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
  pub args: Vec<String>,
}

/// Which database
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct DatabaseArgs {
  /// A database file, or the URL of a database that is served
  #[arg(long, value_name = "PATH")]
  pub db: Option<String>,
  /// A script, for its default database
  #[arg(long, value_name = "FILE")]
  pub script: Option<PathBuf>,
}

#[derive(Args)]
pub struct ReplArgs {
  /// A database file, which is made if there is none, or the URL of a database that is served. Default: a database in
  /// memory
  #[arg(long, value_name = "PATH", conflicts_with = "script")]
  pub db: Option<String>,
  /// A script, for its default database
  #[arg(long, value_name = "FILE")]
  pub script: Option<PathBuf>,
}

#[derive(Args)]
pub struct KeyArgs {
  /// The key, an array: '["users", 1n]'
  pub key: String,
  #[command(flatten)]
  pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct SetArgs {
  /// The key, an array: '["users", 1n]'
  pub key: String,
  /// The value, in JavaScript
  #[arg(allow_hyphen_values = true)]
  pub value: String,
  #[command(flatten)]
  pub database: DatabaseArgs,
  /// Milliseconds after which the key is gone
  #[arg(long, value_name = "MS")]
  pub expire_in: Option<u64>,
}

#[derive(Args)]
pub struct ListArgs {
  /// Keys that begin with this array. Default: all
  pub prefix: Option<String>,
  #[command(flatten)]
  pub database: DatabaseArgs,
  /// From this key on
  #[arg(long, value_name = "KEY")]
  pub start: Option<String>,
  /// Up to this key, and without it
  #[arg(long, value_name = "KEY")]
  pub end: Option<String>,
  /// How many entries at most
  #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
  pub limit: Option<u32>,
  /// From the last key to the first
  #[arg(long)]
  pub reverse: bool,
}

#[derive(Args)]
pub struct PathArgs {
  /// The script
  pub file: PathBuf,
}

#[derive(Args)]
pub struct TestArgs {
  /// Test files, or folders to look for them in
  pub files: Vec<PathBuf>,
  /// Run only tests whose name contains this; between slashes: matches this regular expression
  #[arg(long, value_name = "TEXT")]
  pub filter: Option<String>,
  /// Stop after the first failure, or after N
  #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
  pub fail_fast: Option<usize>,
  /// Seconds after which a test that has not ended counts as failed; 0: no limit
  #[arg(long, value_name = "SECONDS", default_value_t = 120)]
  pub timeout: u64,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Durability {
  /// It was synced to the disk: a power failure doesn't undo it
  Full,
  /// The system has it: the end of the process doesn't undo it, a power failure may
  Relaxed,
}

impl From<Durability> for kv_ext::Durability {
  fn from(durability: Durability) -> Self {
    match durability {
      Durability::Full => Self::Full,
      Durability::Relaxed => Self::Relaxed,
    }
  }
}
