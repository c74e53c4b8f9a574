use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What to serve, where, and to whom.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
  /// The database file; it is made if there is none
  #[arg(required_unless_present = "dir", conflicts_with = "dir")]
  pub file: Option<PathBuf>,
  /// Serve many databases: DIR/NAME.sqlite3 at the path /NAME. One that is not there is made when a client that may
  /// write asks for it
  #[arg(long, value_name = "DIR")]
  pub dir: Option<PathBuf>,
  /// The address to listen on
  #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4512")]
  pub addr: SocketAddr,
  /// Access tokens, one a line: TOKEN [RIGHTS [DATABASE …]], with read, write and queue as rights. Read again on SIGHUP.
  /// Default: the variable DENO_KV_ACCESS_TOKEN, or a token that is made and kept beside the database
  #[arg(long, value_name = "FILE")]
  pub token_file: Option<PathBuf>,
  /// Refuse writes, and leave the queue alone
  #[arg(long)]
  pub read_only: bool,
  /// The certificate chain for TLS, in PEM. Read again on SIGHUP
  #[arg(long, value_name = "FILE", requires = "tls_key")]
  pub tls_cert: Option<PathBuf>,
  /// Its private key, in PEM
  #[arg(long, value_name = "FILE", requires = "tls_cert")]
  pub tls_key: Option<PathBuf>,
  /// Listen without TLS on an address that other machines reach: tokens and values can be read on the way
  #[arg(long)]
  pub insecure: bool,
  /// Answer GET /healthz, /readyz and /metrics on this address, to whoever reaches it
  #[arg(long, value_name = "ADDRESS")]
  pub admin_addr: Option<SocketAddr>,
  /// How log lines look
  #[arg(long, value_name = "FORMAT", default_value = "text")]
  pub log: LogFormat,
  /// What is logged: error, warn, info or debug, or by target, as in kv_connect=debug,warn
  #[arg(long, value_name = "LEVEL", default_value = "info")]
  pub log_level: String,
  /// Connections at a time; more wait
  #[arg(long, value_name = "N", default_value_t = 10_000)]
  pub max_connections: usize,
  /// Requests of a token at a time; more wait for some seconds, and are refused then
  #[arg(long, value_name = "N", default_value_t = 1_000)]
  pub max_requests: usize,
  /// Watches and queue listeners of a token at a time
  #[arg(long, value_name = "N", default_value_t = 10_000)]
  pub max_watches: usize,
  /// Cache at most so many bytes of a database for each connection [default: 16 MiB]
  #[arg(long, value_name = "BYTES")]
  pub cache_size: Option<u64>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
  /// For people
  Text,
  /// A JSON object a line
  Json,
}
