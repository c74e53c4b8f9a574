use std::sync::Arc;

use kv_store::engine::{Backend, ErrorKind, StoreError};
use kv_store::{KvError, Store};
use url::Url;

use super::backend::RemoteBackend;
use super::options::ClientOptions;
use super::remote::Remote;
use super::runtime;
use super::transport::Transport;

const VARIABLE: &str = "DENO_KV_ACCESS_TOKEN";

/// Opens a remote database.
///
/// # Errors
/// There is no token, the server can't be reached or refuses it, or its answer can't be used.
pub async fn open(url: Url, options: ClientOptions) -> Result<Arc<dyn Backend>, StoreError> {
  let cannot = |reason: String| {
    StoreError::new(
      ErrorKind::Refused,
      format!("Could not open Deno KV database: {reason}"),
    )
  };
  if !matches!(url.scheme(), "http" | "https") {
    return Err(cannot(format!("{url} is no URL of http or https")));
  }
  if !url.username().is_empty() || url.password().is_some() {
    return Err(cannot(
      "the URL has a user name or a password: a database has an access token".into(),
    ));
  }
  let token = match &options.token {
    Some(token_for) => token_for(&url),
    None => std::env::var(VARIABLE)
      .ok()
      .filter(|token| !token.is_empty()),
  };
  let token = token.ok_or_else(|| {
    StoreError::new(
      ErrorKind::Other,
      format!("Missing {VARIABLE} environment variable. Please set it to your access token."),
    )
  })?;
  let runtime = runtime::handle()?;
  let transport = match &options.transport {
    Some(transport) => transport.clone(),
    None => {
      // The connector looks for the event loop.
      let _entered = runtime.enter();
      default_transport().map_err(cannot)?
    }
  };
  let remote = Arc::new(Remote::new(url, token, &options, transport));
  let first = {
    let remote = remote.clone();
    runtime.spawn(async move { remote.lease().await })
  };
  // It fails to be joined if the runtime ends, which it does with the process.
  let lease = first.await.map_err(|error| cannot(error.to_string()))?;
  let lease = lease.map_err(|error| {
    StoreError::new(
      error.kind(),
      format!("Could not open Deno KV database: {error}"),
    )
  })?;
  Ok(Arc::new(RemoteBackend::new(remote, &lease, runtime)))
}

#[cfg(feature = "http")]
fn default_transport() -> Result<Arc<dyn Transport>, String> {
  let http = super::http::Http::new();
  Ok(Arc::new(http.map_err(|error| {
    format!("the system's root certificates can't be read: {error}")
  })?))
}

#[cfg(not(feature = "http"))]
fn default_transport() -> Result<Arc<dyn Transport>, String> {
  Err("this program brings no transport: ClientOptions::transport takes one".into())
}

/// Opens remote databases as [`Store`]s: `Store::connect(url, token)`.
pub trait Connect: Sized {
  /// Opens the database that a server has at `url`, with default options.
  ///
  /// ```no_run
  /// use kv_connect::client::Connect;
  /// use kv_store::{Store, key};
  ///
  /// # #[tokio::main(flavor = "current_thread")]
  /// # async fn main() -> Result<(), kv_store::KvError> {
  /// let store = Store::connect("https://db.example.com", "the access token").await?;
  /// store.set(key!["runs"], 7).await?;
  /// # Ok(())
  /// # }
  /// ```
  ///
  /// # Errors
  /// [`KvError::InvalidUrl`], or [`KvError::Open`] as [`open`] fails.
  fn connect(url: &str, token: &str) -> impl Future<Output = Result<Self, KvError>> + Send;
}

impl Connect for Store {
  async fn connect(url: &str, token: &str) -> Result<Self, KvError> {
    let invalid = |error| KvError::InvalidUrl(url.into(), error);
    let parsed = Url::parse(url).map_err(invalid)?;
    let backend = open(parsed, ClientOptions::default().token(token)).await;
    Ok(Self::on(backend.map_err(KvError::Open)?))
  }
}
