//! The metadata exchange: where the data path is, and the token for it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::StreamExt;
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
const TIMEOUT: Duration = Duration::from_secs(30);
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
pub(super) struct Failure {
  pub(super) kind: ErrorKind,
  pub(super) message: String,
}

impl Failure {
  pub(super) fn new(kind: ErrorKind, message: String) -> Self {
    Self { kind, message }
  }
}

/// Makes metadata exchanges, and keeps what the last one has brought.
pub(super) struct Exchange {
  url: Url,
  token: String,
  user_agent: String,
  url_hook: Option<UrlHook>,
  transport: Arc<dyn Transport>,
  /// Locked during an exchange: calls that come meanwhile wait for it.
  current: tokio::sync::Mutex<Option<Arc<Lease>>>,
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
    Self {
      url,
      token,
      user_agent: options.user_agent.clone(),
      url_hook: options.url_hook.clone(),
      transport,
      current: tokio::sync::Mutex::new(None),
    }
  }

  /// What is known, or a new exchange if that is about to end. `rejected`: the server did not accept what that one has
  /// brought.
  pub(super) async fn lease(&self, rejected: Option<&Arc<Lease>>) -> Result<Arc<Lease>, Failure> {
    let mut current = self.current.lock().await;
    let now = Instant::now();
    if let Some(lease) = current.as_ref() {
      let is_rejected = rejected.is_some_and(|rejected| Arc::ptr_eq(rejected, lease));
      if !is_rejected && now < lease.refresh_at {
        return Ok(lease.clone());
      }
      match self.ask().await {
        Ok(new) => return Ok(current.insert(Arc::new(new)).clone()),
        // It can be used a while longer.
        Err(failure) if !is_rejected && now < lease.ends_at && is_passing(&failure) => {
          tracing::warn!(target: "kv_connect", reason = %failure.message, "metadata could not be refreshed");
          return Ok(lease.clone());
        }
        Err(failure) => return Err(failure),
      }
    }
    Ok(current.insert(Arc::new(self.ask().await?)).clone())
  }

  /// One exchange.
  async fn ask(&self) -> Result<Lease, Failure> {
    let result = tokio::time::timeout(TIMEOUT, self.follow()).await;
    result.unwrap_or_else(|_| {
      Err(unavailable(format!(
        "the metadata endpoint at '{}' did not answer in time",
        self.url
      )))
    })
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
          "the metadata endpoint at '{url}' redirects to {}",
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

/// A redirect leads from http to https, or stays where it is: a token never leaves TLS.
fn may_follow(from: &Url, to: &Url) -> bool {
  match to.scheme() {
    "https" => true,
    "http" => from.scheme() == "http",
    _ => false,
  }
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
