use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What to serve, where, and to whom.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
  /// The database file, which is created if it does not exist; or use --dir
  #[arg(required_unless_present = "dir", conflicts_with = "dir")]
  pub file: Option<PathBuf>,
  /// Serve many databases: DIR/NAME.sqlite3 at the path /NAME. A database that does not exist is created when a client
  /// that may write opens it
  #[arg(long, value_name = "DIR")]
  pub dir: Option<PathBuf>,
  /// The address to listen on
  #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:4512")]
  pub addr: SocketAddr,
  /// A file of access tokens, one per line: TOKEN [RIGHTS [DATABASE …]], where the rights are a list of read, write and
  /// queue, as in read,queue. SIGHUP reloads it. Default: the variable DENO_KV_ACCESS_TOKEN, or a token that the server
  /// generates and keeps beside the database
  #[arg(long, value_name = "FILE")]
  pub token_file: Option<PathBuf>,
  /// Refuse writes, and leave the queue alone
  #[arg(long)]
  pub read_only: bool,
  /// The certificate chain for TLS, in PEM. SIGHUP reloads it
  #[arg(long, value_name = "FILE", requires = "tls_key")]
  pub tls_cert: Option<PathBuf>,
  /// Its private key, in PEM
  #[arg(long, value_name = "FILE", requires = "tls_cert")]
  pub tls_key: Option<PathBuf>,
  /// Listen without TLS on an address that other machines can reach. Anybody on the network can then read tokens and
  /// values
  #[arg(long)]
  pub insecure: bool,
  /// Serve GET /healthz, /readyz and /metrics on this address, without a token
  #[arg(long, value_name = "IP:PORT")]
  pub admin_addr: Option<SocketAddr>,
  /// How log lines look
  #[arg(long, value_name = "FORMAT", default_value = "text")]
  pub log: LogFormat,
  /// What is logged: error, warn, info or debug, or by target, as in kv_connect=debug,warn
  #[arg(long, value_name = "LEVEL", default_value = "info")]
  pub log_level: String,
  /// The most connections at a time; further ones wait
  #[arg(long, value_name = "N", default_value_t = 10_000)]
  pub max_connections: usize,
  /// The most requests of a token at a time; further ones wait for five seconds and are then refused
  #[arg(long, value_name = "N", default_value_t = 1_000)]
  pub max_requests: usize,
  /// The most watches and waiting queue listeners of a token at a time
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
