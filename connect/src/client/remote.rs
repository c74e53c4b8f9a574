//! One call of the data path: where it goes, with which token, and when it is repeated.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use kv_store::engine::{ErrorKind, StoreError};
use prost::Message;
use url::Url;

use super::metadata::{Exchange, Lease, allow, is_passing, read_body, shown};
use super::options::{ClientOptions, UrlHook};
use super::retry::Backoff;
use super::transport::{BodyStream, Transport, TransportError};
use crate::protocol::{
  EndpointConsistency, HEADER_DATABASE_ID, HEADER_DOMAIN_ID, HEADER_ERROR_KIND, HEADER_VERSION,
  HEADER_WRITE_ID, PROTOBUF,
};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(30);
/// Bytes of an answer: ten thousand entries of the largest size would be more, but a read has a thousand.
const MOST_BYTES: usize = 128 << 20;

/// A call of the data path.
pub(super) struct Call {
  pub(super) method: &'static str,
  pub(super) body: Bytes,
  /// Whether an endpoint will do that misses the last moments.
  pub(super) is_eventual: bool,
  /// The id of a write.
  pub(super) write_id: Option<String>,
  /// Whether it does no harm if it is done twice.
  pub(super) is_repeatable: bool,
  pub(super) backoff: Backoff,
}

/// A server's database.
pub(super) struct Remote {
  exchange: Exchange,
  transport: Arc<dyn Transport>,
  url_hook: Option<UrlHook>,
  user_agent: String,
  pub(super) deadline: Duration,
  /// How long the last calls to each endpoint took, of those that eventual reads can choose from.
  latencies: Mutex<HashMap<String, Duration>>,
}

/// Why an attempt has brought no answer.
enum Attempt {
  /// The call ends with this error.
  Fatal(StoreError),
  /// The server does not accept the token any more.
  Unauthorized(StoreError),
  /// Another attempt may help.
  Passing {
    error: StoreError,
    /// The call may have been done.
    is_unknown: bool,
  },
}

impl Remote {
  pub(super) fn new(
    url: Url,
    token: String,
    options: &ClientOptions,
    transport: Arc<dyn Transport>,
  ) -> Self {
    Self {
      exchange: Exchange::new(url, token, options, transport.clone()),
      transport,
      url_hook: options.url_hook.clone(),
      user_agent: options.user_agent.clone(),
      deadline: options.deadline,
      latencies: Mutex::default(),
    }
  }

  /// The metadata that is known, or new ones.
  pub(super) async fn lease(&self) -> Result<Arc<Lease>, StoreError> {
    Ok(self.exchange.lease(None).await?)
  }

  /// A call that is tried until the deadline.
  pub(super) fn backoff(&self) -> Backoff {
    Backoff::until(Instant::now() + self.deadline)
  }

  /// Makes a call whose answer is one message.
  pub(super) async fn call<M: Message + Default>(
    &self,
    call: Call,
    check: impl Fn(&M) -> Result<(), Unserved>,
  ) -> Result<M, StoreError> {
    let check = &check;
    let read = |url: String, response: Response<BodyStream>| async move {
      let body = read_body(response.into_body(), MOST_BYTES).await;
      let body = body.map_err(|error| broken(&url, &error))?;
      let message = M::decode(body.as_slice()).map_err(|error| {
        // What it did is done.
        let message = format!("KV Connect failed to decode response of '{url}': {error}");
        Attempt::Fatal(StoreError::new(ErrorKind::Refused, message))
      })?;
      match check(&message) {
        Ok(()) => Ok(message),
        Err(unserved) => Err(Attempt::Unauthorized(unserved.0)),
      }
    };
    self.attempts(call, read).await
  }

  /// Makes a call whose answer is a stream.
  pub(super) async fn open_stream(&self, call: Call) -> Result<BodyStream, StoreError> {
    let body = |_, response: Response<BodyStream>| async { Ok(response.into_body()) };
    self.attempts(call, body).await
  }

  async fn attempts<T, F>(
    &self,
    mut call: Call,
    read: impl Fn(String, Response<BodyStream>) -> F,
  ) -> Result<T, StoreError>
  where
    F: Future<Output = Result<T, Attempt>>,
  {
    let mut rejected: Option<Arc<Lease>> = None;
    // Of an earlier attempt, which may have been done.
    let mut unknown: Option<StoreError> = None;
    let mut turn = 0;
    loop {
      let lease = match self.exchange.lease(rejected.as_ref()).await {
        Ok(lease) => lease,
        Err(failure) if is_passing(&failure) && call.backoff.pause().await => continue,
        Err(failure) => return Err(unknown.unwrap_or_else(|| failure.into())),
      };
      let is_safe = call.is_repeatable || call.write_id.is_some() && lease.extensions.idempotency;
      let started = Instant::now();
      let endpoint = self.endpoint(&lease, call.is_eventual, turn);
      let attempt = self.attempt(&lease, &endpoint, &call, &read);
      let failed = match tokio::time::timeout(ATTEMPT, attempt).await {
        Ok(Ok(answer)) => {
          self.note_latency(endpoint, started.elapsed());
          return Ok(answer);
        }
        Ok(Err(failed)) => failed,
        Err(_) => broken(&endpoint, &TransportError::timed_out(call.method)),
      };
      turn += 1;
      let last = match failed {
        Attempt::Fatal(error) => return Err(error),
        Attempt::Unauthorized(error) => {
          let is_second = rejected.is_some();
          rejected = Some(lease);
          match is_second {
            true => return Err(unknown.unwrap_or(error)),
            // At once.
            false => continue,
          }
        }
        Attempt::Passing { error, is_unknown } if is_unknown && !is_safe => {
          return Err(unknown_outcome(&error));
        }
        Attempt::Passing { error, is_unknown } => {
          if is_unknown && !call.is_repeatable {
            unknown = Some(unknown_outcome(&error));
          }
          error
        }
      };
      if !call.backoff.pause().await {
        return Err(unknown.unwrap_or(last));
      }
    }
  }

  async fn attempt<T, F>(
    &self,
    lease: &Lease,
    endpoint: &str,
    call: &Call,
    read: impl Fn(String, Response<BodyStream>) -> F,
  ) -> Result<T, Attempt>
  where
    F: Future<Output = Result<T, Attempt>>,
  {
    let url = format!("{endpoint}/{}", call.method);
    let fatal = |message: String| Attempt::Fatal(StoreError::new(ErrorKind::Refused, message));
    if self.url_hook.is_some() {
      let parsed = Url::parse(&url).map_err(|error| fatal(error.to_string()))?;
      allow(self.url_hook.as_ref(), &parsed).map_err(|failure| Attempt::Fatal(failure.into()))?;
    }
    let request = self.request(lease, &url, call);
    let request = request.map_err(|error| fatal(error.to_string()))?;
    let sent = self.transport.send(request).await;
    let response = sent.map_err(|error| broken(&url, &error))?;
    if response.status().is_success() {
      return read(url, response).await;
    }
    let (parts, body) = response.into_parts();
    let text = read_body(body, 64 << 10).await;
    let text = text.map_or_else(|_| String::new(), |text| shown(&text));
    Err(refusal(&url, parts.status, &parts.headers, &text))
  }

  fn request(&self, lease: &Lease, url: &str, call: &Call) -> http::Result<Request<Bytes>> {
    let metadata = &lease.metadata;
    let mut request = Request::post(url)
      .header(AUTHORIZATION, format!("Bearer {}", metadata.token))
      .header(CONTENT_TYPE, PROTOBUF)
      .header(USER_AGENT, &self.user_agent);
    let id = metadata.database_id.to_string();
    request = match metadata.version {
      1 => request.header(HEADER_DOMAIN_ID, id),
      version => request
        .header(HEADER_DATABASE_ID, id)
        .header(HEADER_VERSION, version.to_string()),
    };
    if let Some(id) = &call.write_id
      && lease.extensions.idempotency
    {
      request = request.header(HEADER_WRITE_ID, id);
    }
    request.body(call.body.clone())
  }

  /// The endpoint for an attempt. An eventual read goes to the one that answers soonest; the others take turns when one
  /// fails.
  fn endpoint(&self, lease: &Lease, is_eventual: bool, turn: usize) -> String {
    let endpoints = lease.metadata.endpoints.iter();
    let fitting: Vec<_> = endpoints
      .filter(|endpoint| is_eventual || endpoint.consistency == EndpointConsistency::Strong)
      .map(|endpoint| &endpoint.url)
      .collect();
    if is_eventual && turn == 0 && fitting.len() > 1 {
      let latencies = self.latencies.lock();
      let latencies = latencies.unwrap_or_else(PoisonError::into_inner);
      // One that was not asked yet is asked next.
      let nearest = fitting
        .iter()
        .min_by_key(|url| latencies.get(**url).copied());
      return nearest.map_or_else(String::new, |url| (*url).clone());
    }
    // There is one that is strong: the metadata were checked.
    let index = turn % fitting.len().max(1);
    fitting
      .get(index)
      .map_or_else(String::new, |url| (*url).clone())
  }

  fn note_latency(&self, endpoint: String, took: Duration) {
    let mut latencies = self
      .latencies
      .lock()
      .unwrap_or_else(PoisonError::into_inner);
    let known = latencies.entry(endpoint).or_insert(took);
    *known = (*known * 7 + took) / 8;
  }
}

/// The server does not do what it was asked for; other metadata may name one that does.
pub(super) struct Unserved(pub(super) StoreError);

impl Unserved {
  pub(super) fn new(kind: ErrorKind, message: &str) -> Self {
    Self(StoreError::new(kind, message))
  }
}

/// The connection has failed.
fn broken(url: &str, error: &TransportError) -> Attempt {
  Attempt::Passing {
    error: StoreError::new(
      ErrorKind::Unavailable,
      format!("KV Connect failed to call '{url}': {error}"),
    ),
    is_unknown: error.is_sent(),
  }
}

/// What an answer means that is no success.
fn refusal(url: &str, status: StatusCode, headers: &HeaderMap, text: &str) -> Attempt {
  let message = format!("KV Connect failed to call '{url}' (status={status}): {text}");
  let error = |kind| StoreError::new(kind, message.clone());
  let kind = headers.get(HEADER_ERROR_KIND);
  match (kind.and_then(|kind| kind.to_str().ok()), status) {
    // As if the database were here.
    (Some("type-mismatch"), _) => Attempt::Fatal(StoreError::new(ErrorKind::TypeMismatch, text)),
    (Some("value"), _) => Attempt::Fatal(StoreError::new(ErrorKind::Value, text)),
    (Some("unknown-outcome"), _) => {
      Attempt::Fatal(StoreError::new(ErrorKind::UnknownOutcome, text))
    }
    (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
      Attempt::Unauthorized(error(ErrorKind::Unauthorized))
    }
    (_, StatusCode::BAD_REQUEST) if text.to_ascii_lowercase().contains("authorization") => {
      Attempt::Unauthorized(error(ErrorKind::Unauthorized))
    }
    // Nothing was done.
    (_, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => Attempt::Passing {
      error: error(ErrorKind::Unavailable),
      is_unknown: false,
    },
    (_, status) if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
      Attempt::Passing {
        error: error(ErrorKind::Unavailable),
        is_unknown: true,
      }
    }
    _ => Attempt::Fatal(error(ErrorKind::Refused)),
  }
}

fn unknown_outcome(error: &StoreError) -> StoreError {
  let message = format!("{error}; the write may have been committed");
  StoreError::new(ErrorKind::UnknownOutcome, message)
}
