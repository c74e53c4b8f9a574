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
  /// The script: a JavaScript or TypeScript module
  pub file: PathBuf,
  /// What the script finds in Deno.args
  #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
  pub args: Vec<String>,
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
