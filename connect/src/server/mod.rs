//! A server for databases of any engine.
//!
//! | room | what happens in it |
//! |---|---|
//! | `listen.rs`, `activity.rs`, `socket.rs`, `tls.rs` | connections: accepted, encrypted, ended |
//! | `route.rs`, `admit.rs` | which call a request is, and whether its client may make it |
//! | `call.rs`, `request.rs`, `respond.rs` | what all calls share: requests, answers, and what an error looks like |
//! | `metadata.rs`, `read.rs`, `write.rs`, `watch.rs`, `queue/` | the calls |
//! | `databases.rs`, `names.rs` | the databases that are served, by their names |
//! | `tokens.rs`, `gate.rs` | who may do what, and how much of it at a time |
//! | `metrics.rs`, `admin.rs` | figures and health for operators |
//!
//! No thread stands between a socket and the store: a small read is answered by the thread that has read the request,
//! and writes of all connections share commits ([`kv_store::engine::Answer`]). What would hold that thread up waits
//! before: bytes that are to be committed, and large answers that their clients don't take, are counted (`gate.rs`).

mod activity;
mod admin;
mod admit;
mod call;
mod databases;
mod gate;
mod listen;
mod metadata;
mod metrics;
mod names;
mod queue;
mod read;
mod request;
mod respond;
mod route;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod tokens;
mod watch;
mod write;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kv_store::Limits;
use kv_store::engine::StoreError;
use tokio::net::TcpListener;
use tokio::sync::watch as signal;

use databases::Databases;
pub use databases::Opener;
use gate::Gates;
use metrics::Metrics;
pub use names::InvalidName;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
pub use tokens::{InvalidTokens, Rights, Token, Tokens};

/// What a server takes of its clients.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerLimits {
  /// Sizes and counts in a call. Default: Deno's, but ten intervals in a backoff schedule, as the protocol allows.
  pub calls: Limits,
  /// Connections at a time; more wait until one ends. Default: 10,000.
  pub connections: usize,
  /// Requests of a token that are at work at a time, without watches and waits for messages. Default: 1,000.
  pub requests_of_token: usize,
  /// Watches, and waits for messages, of a token at a time. Default: 10,000.
  pub watches_of_token: usize,
  /// How long a request beyond these waits before it is refused. Default: 5 seconds.
  pub patience: Duration,
  /// How long a client may take to send a request's body. Default: 30 seconds.
  pub body_time: Duration,
  /// How long a client may take to send a request's head, the first one included, and how long a connection of HTTP/1.1
  /// may lie idle. Default: 120 seconds; clients keep connections and use them again.
  pub head_time: Duration,
  /// How long a connection of HTTP/2 may lie idle. Default: 15 minutes.
  pub idle_time: Duration,
  /// Wrong access tokens from one address within a minute, after which it gets no token of the data path until the next
  /// one. Default: 30. Clients that have one go on.
  pub wrong_tokens: u32,
  /// How long stopping waits for what has begun. Default: 5 seconds.
  pub stop_time: Duration,
}

impl Default for ServerLimits {
  fn default() -> Self {
    Self {
      calls: Limits::default().with_backoff_intervals(10),
      connections: 10_000,
      requests_of_token: 1_000,
      watches_of_token: 10_000,
      patience: Duration::from_secs(5),
      body_time: Duration::from_secs(30),
      head_time: Duration::from_secs(120),
      idle_time: Duration::from_secs(900),
      wrong_tokens: 30,
      stop_time: Duration::from_secs(5),
    }
  }
}

/// Serves databases: see [`Server::serve`]. Clones are the same server.
#[derive(Clone, Debug)]
pub struct Server(Arc<Shared>);

#[derive(Debug)]
struct Shared {
  databases: Databases,
  tokens: RwLock<Arc<Tokens>>,
  is_read_only: bool,
  limits: ServerLimits,
  gates: Gates,
  metrics: Metrics,
  /// Set once the server stops.
  stopping: signal::Sender<bool>,
}

/// Options for a server. It serves nothing before [`Server::serve`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
  databases: Databases,
  tokens: Tokens,
  is_read_only: bool,
  limits: ServerLimits,
}

impl Server {
  /// A server for one database, at the path `/`.
  pub fn of_database(backend: Arc<dyn kv_store::engine::Backend>, tokens: Tokens) -> Builder {
    Builder::new(Databases::one(backend), tokens)
  }

  /// A server for many databases, each at the path of its name: `opener` opens the one of a name when it is asked for.
  pub fn of_databases(opener: Opener, tokens: Tokens) -> Builder {
    Builder::new(Databases::by_name(opener), tokens)
  }

  /// Opens the database of a server of one, so that a fault is known before the first request.
  ///
  /// # Errors
  /// It can't be read, or its id can't be written.
  pub async fn prepare(&self) -> Result<(), StoreError> {
    self.0.databases.prepare().await
  }

  /// Accepts connections and answers them until [`stop`](Self::stop). To be called on a tokio runtime with time and IO,
  /// once for each listener.
  pub async fn serve(&self, listener: TcpListener) {
    listen::serve(self.0.clone(), listener, Encryption::None).await;
  }

  /// The same with TLS.
  #[cfg(feature = "tls")]
  pub async fn serve_tls(&self, listener: TcpListener, tls: Tls) {
    listen::serve(self.0.clone(), listener, Encryption::Tls(tls)).await;
  }

  /// Answers operators: `GET /healthz`, `/readyz` and `/metrics`. Whoever reaches the listener may ask.
  pub async fn serve_admin(&self, listener: TcpListener) {
    admin::serve(self.0.clone(), listener).await;
  }

  /// Stops: [`serve`](Self::serve) accepts no more connections, ends watches, answers what has begun, and returns.
  pub fn stop(&self) {
    self.0.stopping.send_replace(true);
  }

  /// Closes the databases, after [`serve`](Self::serve) has returned. Messages that clients are at work on stay theirs
  /// for 20 seconds: a server that starts in this time gives them to nobody else. It waits for what is outstanding: a
  /// file that another process has locked, for one.
  ///
  /// # Errors
  /// What was outstanding could not be done.
  pub async fn close(&self) -> Result<(), StoreError> {
    self.0.databases.close().await
  }

  /// Puts other tokens in place of those that are known. Watches whose token is gone, or may not read any more, end
  /// within five seconds.
  pub fn set_tokens(&self, tokens: Tokens) {
    let mut known = self
      .0
      .tokens
      .write()
      .unwrap_or_else(PoisonError::into_inner);
    *known = Arc::new(tokens);
  }
}

impl Shared {
  fn tokens(&self) -> Arc<Tokens> {
    let tokens = self.tokens.read();
    tokens.unwrap_or_else(PoisonError::into_inner).clone()
  }

  fn is_stopping(&self) -> bool {
    *self.stopping.borrow()
  }

  /// Waits until the server stops.
  async fn stopped(&self) {
    // The sender lives as long as the server.
    let _ = self.stopping.subscribe().wait_for(|stops| *stops).await;
  }
}

impl Builder {
  fn new(databases: Databases, tokens: Tokens) -> Self {
    Self {
      databases,
      tokens,
      is_read_only: false,
      limits: ServerLimits::default(),
    }
  }

  /// Whether writes are refused, and the queue is closed. Default: false.
  pub fn read_only(mut self, is_read_only: bool) -> Self {
    self.is_read_only = is_read_only;
    self
  }

  /// What the server takes of its clients.
  pub fn limits(mut self, limits: ServerLimits) -> Self {
    self.limits = limits;
    self
  }

  /// The server.
  pub fn build(self) -> Server {
    Server(Arc::new(Shared {
      databases: self.databases.read_only(self.is_read_only),
      tokens: RwLock::new(Arc::new(self.tokens)),
      is_read_only: self.is_read_only,
      gates: Gates::new(&self.limits),
      metrics: Metrics::new(),
      limits: self.limits,
      stopping: signal::Sender::new(false),
    }))
  }
}

/// How connections are encrypted.
enum Encryption {
  None,
  #[cfg(feature = "tls")]
  Tls(Tls),
}
