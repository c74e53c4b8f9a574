//! The metadata exchange: where the data path is, and the token for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt};
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode};
use kv_store::engine::{ErrorKind, StoreError};
use url::Url;

use super::options::{ClientOptions, UrlHook};
use super::transport::{BodyStream, Transport, TransportError};
use crate::protocol::{DatabaseMetadata, Extensions, HEADER_EXTENSIONS, MetadataRequest};

/// Redirects that are followed in a row.
const REDIRECTS: usize = 10;
/// How long one exchange may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// After an exchange has failed, while the last one's metadata can still be used, the next one comes so much later.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of an answer, or of the text of an error, that are read at most.
const MOST_BYTES: usize = 64 << 10;

/// What a metadata exchange has brought.
pub(super) struct Lease {
  pub(super) metadata: DatabaseMetadata,
  pub(super) extensions: Extensions,
  /// When the next exchange is due, and when the token ends.
  refresh_at: Instant,
  ends_at: Instant,
}

/// Why there is no metadata. Another attempt may help if the server can't be reached.
#[derive(Clone, Debug)]
pub(super) struct Failure {
  pub(super) kind: ErrorKind,
  pub(super) message: String,
}

impl Failure {
  pub(super) fn new(kind: ErrorKind, message: String) -> Self {
    Self { kind, message }
  }
}

/// An exchange that is on its way, for all who wait for it.
type Asking = Shared<BoxFuture<'static, Result<Arc<Lease>, Failure>>>;

/// Makes metadata exchanges, one at a time, and keeps what the last one has brought.
#[derive(Clone)]
pub(super) struct Exchange(Arc<Inner>);

struct Inner {
  url: Url,
  token: String,
  user_agent: String,
  url_hook: Option<UrlHook>,
  transport: Arc<dyn Transport>,
  state: Mutex<State>,
}

#[derive(Default)]
struct State {
  current: Option<Arc<Lease>>,
  asking: Option<Asking>,
  /// When the last exchange has failed.
  failed_at: Option<Instant>,
}

impl Lease {
  fn new(metadata: DatabaseMetadata, extensions: Extensions) -> Self {
    let now = Instant::now();
    let lifetime = metadata.expires_in(SystemTime::now());
    // A token that has ended, by this machine's clock, is used all the same: the server knows better. But no more than
    // one exchange a second comes of it.
    let lifetime = lifetime.clamp(Duration::from_secs(1), Duration::from_secs(86_400));
    Self {
      metadata,
      extensions,
      refresh_at: now + lifetime.mul_f64(0.8),
      ends_at: now + lifetime,
    }
  }
}

impl Exchange {
  pub(super) fn new(
    url: Url,
    token: String,
    options: &ClientOptions,
    transport: Arc<dyn Transport>,
  ) -> Self {
    Self(Arc::new(Inner {
      url,
      token,
      user_agent: options.user_agent.clone(),
      url_hook: options.url_hook.clone(),
      transport,
      state: Mutex::default(),
    }))
  }

  /// What is known, while it can be used; it is refreshed in the background before it ends. `rejected`: the server did
  /// not accept what that one has brought.
  ///
  /// To be called on the event loop of remote databases.
  pub(super) async fn lease(&self, rejected: Option<&Arc<Lease>>) -> Result<Arc<Lease>, Failure> {
    let asking = {
      let mut state = self.0.state();
      let now = Instant::now();
      let current = state.current.clone();
      let current = current.filter(|lease| {
        now < lease.ends_at && !rejected.is_some_and(|rejected| Arc::ptr_eq(rejected, lease))
      });
      if let Some(lease) = current {
        let has_just_failed = state.failed_at.is_some_and(|at| at.elapsed() < PAUSE);
        if now >= lease.refresh_at && !has_just_failed {
          // Nobody waits for it.
          drop(self.ask(&mut state));
        }
        return Ok(lease);
      }
      self.ask(&mut state)
    };
    asking.await
  }

  /// The exchange that is on its way, or a new one. It goes on if nobody waits any more.
  fn ask(&self, state: &mut State) -> Asking {
    if let Some(asking) = &state.asking {
      return asking.clone();
    }
    let exchange = self.clone();
    let asking = async move {
      let result = tokio::time::timeout(TIMEOUT, exchange.0.follow()).await;
      let result = result.unwrap_or_else(|_| {
        Err(unavailable(format!(
          "the metadata endpoint at '{}' did not answer in time",
          exchange.0.url
        )))
      });
      exchange.0.state().note(result)
    };
    let asking = asking.boxed().shared();
    tokio::spawn(asking.clone());
    state.asking = Some(asking.clone());
    asking
  }
}

impl State {
  /// Keeps what an exchange has brought.
  fn note(&mut self, result: Result<Lease, Failure>) -> Result<Arc<Lease>, Failure> {
    self.asking = None;
    let known = self
      .current
      .as_ref()
      .map(|lease| lease.metadata.database_id);
    let result = result.and_then(|lease| match known {
      Some(known) if known != lease.metadata.database_id => Err(refused(
        "the server has another database now: open it anew".into(),
      )),
      _ => Ok(Arc::new(lease)),
    });
    match &result {
      Ok(lease) => {
        self.current = Some(lease.clone());
        self.failed_at = None;
      }
      Err(failure) => {
        tracing::warn!(target: "kv_connect", reason = %failure.message, "no metadata");
        self.failed_at = Some(Instant::now());
      }
    }
    result
  }
}

impl Inner {
  fn state(&self) -> MutexGuard<'_, State> {
    self.state.lock().unwrap_or_else(PoisonError::into_inner)
  }

  /// Follows redirects to the answer.
  async fn follow(&self) -> Result<Lease, Failure> {
    let mut url = self.url.clone();
    for _ in 0..=REDIRECTS {
      allow(self.url_hook.as_ref(), &url)?;
      let response = self.post(&url).await?;
      let status = response.status();
      if !status.is_redirection() {
        return read_answer(&url, response).await;
      }
      let location = response.headers().get(LOCATION);
      let location = location.and_then(|location| location.to_str().ok());
      let next = location.and_then(|location| url.join(location).ok());
      let Some(next) = next.filter(|next| may_follow(&url, next)) else {
        return Err(refused(format!(
          "the metadata endpoint at '{url}' redirects to {}: the access token is not sent there",
          location.unwrap_or("nowhere")
        )));
      };
      url = next;
    }
    Err(refused(format!(
      "the metadata endpoint at '{}' redirects more than {REDIRECTS} times",
      self.url
    )))
  }

  async fn post(&self, url: &Url) -> Result<Response<BodyStream>, Failure> {
    let body = serde_json::to_vec(&MetadataRequest::default());
    let request = body.map_err(|error| error.to_string()).and_then(|body| {
      let request = Request::post(url.as_str())
        .header(AUTHORIZATION, format!("Bearer {}", self.token))
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, &self.user_agent)
        .header(HEADER_EXTENSIONS, Extensions::ALL.to_string());
      let request = request.body(Bytes::from(body));
      request.map_err(|error| error.to_string())
    });
    let request = request.map_err(|error| {
      let message = format!("no request can be made of the URL and the access token: {error}");
      Failure::new(ErrorKind::Unauthorized, message)
    })?;
    let sent = self.transport.send(request).await;
    sent.map_err(|error| unavailable(format!("failed to connect to '{url}': {error}")))
  }
}

/// A redirect stays on its host, where the access token belongs, and never leaves TLS.
fn may_follow(from: &Url, to: &Url) -> bool {
  let is_same_host = from.host() == to.host();
  let is_as_safe = match to.scheme() {
    "https" => true,
    "http" => from.scheme() == "http",
    _ => false,
  };
  is_same_host && is_as_safe
}

pub(super) fn allow(hook: Option<&UrlHook>, url: &Url) -> Result<(), Failure> {
  let Some(hook) = hook else {
    return Ok(());
  };
  hook(url).map_err(|error| Failure::new(error.kind(), error.to_string()))
}

async fn read_answer(url: &Url, response: Response<BodyStream>) -> Result<Lease, Failure> {
  let status = response.status();
  let extensions = response.headers().get(HEADER_EXTENSIONS);
  let extensions = extensions.and_then(|extensions| extensions.to_str().ok());
  let extensions = Extensions::parse(extensions.unwrap_or_default());
  let body = read_body(response.into_body(), MOST_BYTES).await;
  if !status.is_success() {
    let text = body.map_or_else(|_| String::new(), |body| shown(&body));
    let message =
      format!("the metadata endpoint at '{url}' responded with status {status}: {text}");
    let kind = match status {
      StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
      StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
      status if status.is_server_error() => ErrorKind::Unavailable,
      _ => ErrorKind::Refused,
    };
    return Err(Failure::new(kind, message));
  }
  let body = body.map_err(|error| unavailable(format!("'{url}': {error}")))?;
  let metadata = DatabaseMetadata::from_json(&body, url);
  let metadata =
    metadata.map_err(|error| refused(format!("Failed to parse metadata of '{url}': {error}")))?;
  Ok(Lease::new(metadata, extensions))
}

/// A whole body, if it is no longer than that.
pub(super) async fn read_body(
  mut body: BodyStream,
  most: usize,
) -> Result<Vec<u8>, TransportError> {
  let mut bytes = Vec::new();
  while let Some(piece) = body.next().await {
    let piece = piece?;
    if bytes.len() + piece.len() > most {
      return Err(TransportError::sent(&std::io::Error::other(format!(
        "the answer has more than {most} bytes"
      ))));
    }
    bytes.extend_from_slice(&piece);
  }
  Ok(bytes)
}

/// What a server says about an error, cut to what a message can hold.
pub(super) fn shown(body: &[u8]) -> String {
  let text = String::from_utf8_lossy(body);
  text.trim().chars().take(1_000).collect()
}

pub(super) fn unavailable(message: String) -> Failure {
  Failure::new(ErrorKind::Unavailable, message)
}

fn refused(message: String) -> Failure {
  Failure::new(ErrorKind::Refused, message)
}

/// Whether another attempt may help.
pub(super) fn is_passing(failure: &Failure) -> bool {
  failure.kind == ErrorKind::Unavailable
}

impl From<Failure> for StoreError {
  fn from(failure: Failure) -> Self {
    Self::new(failure.kind, failure.message)
  }
}
