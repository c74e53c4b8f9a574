use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kv_connect::server::{Server, ServerLimits, Tls, Tokens};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::token::Source;
use crate::{LogFormat, ServeArgs, hints, open};

/// How long closing the databases may take.
const CLOSE_TIME: Duration = Duration::from_secs(3);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The database can't be opened, a file can't be read, or the address can't be listened on.
pub fn serve(args: &ServeArgs) -> Result<()> {
  log(args)?;
  let is_open = !args.addr.ip().is_loopback();
  if is_open && args.tls_cert.is_none() && !args.insecure {
    bail!(
      "{} can be reached from other machines: give --tls-cert and --tls-key, or --insecure if the network is \
       trusted",
      args.addr
    );
  }
  let runtime = tokio::runtime::Builder::new_multi_thread()
    .enable_all()
    .build()
    .context("the event loop could not be made")?;
  let result = runtime.block_on(run(args));
  // Whatever is still at work was given its time.
  runtime.shutdown_background();
  result
}

/// Logs to standard error, so that standard output has what a person or a script asked for.
fn log(args: &ServeArgs) -> Result<()> {
  let filter = match args.log_level.parse::<LevelFilter>() {
    // The libraries below say a lot at these levels.
    Ok(level) => ["kv_connect", "kv_server", "kv_store"]
      .into_iter()
      .fold(Targets::new(), |targets, name| {
        targets.with_target(name, level)
      })
      .with_default(level.min(LevelFilter::WARN)),
    Err(_) => args.log_level.parse().context("--log-level")?,
  };
  let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
  let registry = tracing_subscriber::registry().with(filter);
  match args.log {
    LogFormat::Text => {
      let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
      registry.with(layer.with_ansi(is_terminal)).init();
    }
    LogFormat::Json => registry.with(layer.json()).init(),
  }
  Ok(())
}

async fn run(args: &ServeArgs) -> Result<()> {
  let mut signals = Signals::new()?;
  let source = Source::of(args);
  let tls = match (&args.tls_cert, &args.tls_key) {
    (Some(certificate), Some(key)) => Some(Tls::from_files(certificate, key)?),
    _ => None,
  };
  let mut limits = ServerLimits::default();
  limits.connections = args.max_connections;
  limits.requests_of_token = args.max_requests;
  limits.watches_of_token = args.max_watches;
  let server = open::databases(args)?
    .read_only(args.read_only)
    .limits(limits)
    .build();
  server.prepare().await.context(open::shown(args))?;
  // After the database: a token is not kept beside one that can't be opened.
  let tokens = source.read()?;
  must_fit(args, &tokens)?;
  server.set_tokens(tokens);
  let listener = listen(args.addr).await?;
  let addr = listener.local_addr()?;
  if let Some(admin) = args.admin_addr {
    let admin = listen(admin).await?;
    tracing::info!(addr = %admin.local_addr()?, "listening for operators");
    let server = server.clone();
    tokio::spawn(async move { server.serve_admin(admin).await });
  }
  // Who has asked for the first line only, as `head -1` does, has closed the pipe.
  let _ = writeln!(
    std::io::stdout(),
    "{}",
    hints::how_to_connect(args, addr, &source)
  );
  tracing::info!(%addr, what = open::shown(args), tls = tls.is_some(), read_only = args.read_only, "listening");
  let serving = {
    let (server, tls) = (server.clone(), tls.clone());
    tokio::spawn(async move {
      match tls {
        Some(tls) => server.serve_tls(listener, tls).await,
        None => server.serve(listener).await,
      }
    })
  };
  loop {
    match signals.next().await {
      Signal::Reload => reload(args, &server, &source, tls.as_ref()),
      Signal::Stop(name) => {
        tracing::info!(signal = name, "shutting down");
        break;
      }
    }
  }
  server.stop();
  let end = async {
    serving.await.context("the server has ended unexpectedly")?;
    // What was answered is durable. What waits for a file that another process has locked is not, and not answered.
    match tokio::time::timeout(CLOSE_TIME, server.close()).await {
      Ok(closed) => closed.context("what was outstanding could not be done"),
      Err(_) => bail!("some of what was outstanding could not be done in time"),
    }
  };
  tokio::select! {
    ended = end => ended?,
    // Who asks twice does not want to wait.
    () = signals.stop_again() => bail!("stopped before everything that had begun was answered"),
  }
  tracing::info!("shut down");
  Ok(())
}

/// Tokens for databases by their names make no sense where there is one that has none.
fn must_fit(args: &ServeArgs, tokens: &Tokens) -> Result<()> {
  if args.dir.is_none() && tokens.name_databases() {
    bail!(
      "the token file names databases, which only --dir has: a token for one file has rights and no more"
    );
  }
  Ok(())
}

async fn listen(addr: SocketAddr) -> Result<TcpListener> {
  TcpListener::bind(addr)
    .await
    .with_context(|| format!("can't listen on {addr}"))
}

/// Reads tokens and certificate again. What can't be read stays as it was.
fn reload(args: &ServeArgs, server: &Server, source: &Source, tls: Option<&Tls>) {
  let tokens = source.read().and_then(|tokens| {
    must_fit(args, &tokens)?;
    Ok(tokens)
  });
  match tokens {
    Ok(tokens) => {
      server.set_tokens(tokens);
      tracing::info!("tokens reloaded");
    }
    Err(error) => tracing::error!(
      error = format!("{error:#}"),
      "reloading the tokens failed; the old ones stay in use"
    ),
  }
  match tls.map(Tls::reload) {
    Some(Ok(())) => tracing::info!("certificate reloaded"),
    Some(Err(error)) => {
      tracing::error!(%error, "reloading the certificate failed; the old one stays in use")
    }
    None => {}
  }
}

enum Signal {
  Stop(&'static str),
  Reload,
}

#[cfg(unix)]
struct Signals {
  term: tokio::signal::unix::Signal,
  interrupt: tokio::signal::unix::Signal,
  hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
  fn new() -> Result<Self> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Self {
      term: signal(SignalKind::terminate())?,
      interrupt: signal(SignalKind::interrupt())?,
      hang_up: signal(SignalKind::hangup())?,
    })
  }

  async fn next(&mut self) -> Signal {
    tokio::select! {
      _ = self.term.recv() => Signal::Stop("SIGTERM"),
      _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
      _ = self.hang_up.recv() => Signal::Reload,
    }
  }

  async fn stop_again(&mut self) {
    tokio::select! {
      _ = self.term.recv() => {}
      _ = self.interrupt.recv() => {}
    }
  }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
  fn new() -> Result<Self> {
    Ok(Self)
  }

  async fn next(&mut self) -> Signal {
    self.stop_again().await;
    Signal::Stop("Ctrl+C")
  }

  async fn stop_again(&mut self) {
    // An error: there is no such signal, and so no end by one.
    if tokio::signal::ctrl_c().await.is_err() {
      std::future::pending::<()>().await;
    }
  }
}
