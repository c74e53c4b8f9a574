//! One call of the data path: where it goes, with which token, and when it is repeated.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use kv_store::engine::{ErrorKind, StoreError};
use prost::Message;
use tokio::sync::Semaphore;
use url::Url;

use super::endpoints::Endpoints;
use super::metadata::{Exchange, Failure, Lease, allow, is_passing, read_body, shown};
use super::options::{ClientOptions, UrlHook};
use super::retry::Backoff;
use super::transport::{BodyStream, Transport, TransportError};
use crate::protocol::{
  HEADER_DATABASE_ID, HEADER_DOMAIN_ID, HEADER_ERROR_KIND, HEADER_VERSION, HEADER_WRITE_ID,
  PROTOBUF, too_many_in_answer,
};

/// How long one attempt may take. (A poll for messages waits for ten seconds on the server.)
const ATTEMPT: Duration = Duration::from_secs(15);
/// A write is not repeated for longer, by the clock that goes on while a machine sleeps: servers remember its id for ten
/// minutes.
const REPEATING: Duration = Duration::from_secs(300);
/// Calls of a database that are on their way at the same time, each on a connection of its own.
const CALLS: usize = 64;

/// A call of the data path.
pub(super) struct Call {
  pub(super) method: &'static str,
  pub(super) body: Bytes,
  /// Bytes of the answer at most.
  pub(super) most_bytes: usize,
  /// Whether an endpoint will do that misses the last moments.
  pub(super) is_eventual: bool,
  /// The id of a write.
  pub(super) write_id: Option<String>,
  /// Whether it does no harm if it is done twice.
  pub(super) is_repeatable: bool,
  pub(super) backoff: Backoff,
}

impl Call {
  fn is_write(&self) -> bool {
    self.write_id.is_some()
  }
}

/// A server's database.
pub(super) struct Remote {
  exchange: Exchange,
  transport: Arc<dyn Transport>,
  url_hook: Option<UrlHook>,
  user_agent: String,
  deadline: Duration,
  endpoints: Endpoints,
  calls: Semaphore,
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
      endpoints: Endpoints::default(),
      calls: Semaphore::new(CALLS),
    }
  }

  /// The metadata that is known, or new ones.
  pub(super) async fn lease(&self) -> Result<Arc<Lease>, StoreError> {
    Ok(self.exchange.lease(None).await?)
  }

  /// A call that is tried until the deadline, from now on.
  pub(super) fn backoff(&self) -> Backoff {
    Backoff::until(Instant::now() + self.deadline)
  }

  /// Makes a call whose answer is one message.
  pub(super) async fn call<M: Message + Default>(
    &self,
    call: Call,
    check: impl Fn(&M) -> Result<(), Unserved>,
  ) -> Result<M, StoreError> {
    let (check, most_bytes, method, is_write) =
      (&check, call.most_bytes, call.method, call.is_write());
    let read = |url: String, response: Response<BodyStream>| async move {
      let body = read_body(response.into_body(), most_bytes).await;
      let body = body.map_err(|error| broken(&url, &error))?;
      let message = match too_many_in_answer(method, &body) {
        true => Err("it has more parts than were asked for".to_owned()),
        false => M::decode(body.as_slice()).map_err(|error| error.to_string()),
      };
      let message = message.map_err(|error| {
        let message = format!("KV Connect failed to decode response of '{url}': {error}");
        let error = StoreError::new(ErrorKind::Refused, message);
        // What it did is done.
        Attempt::Fatal(if is_write {
          unknown_outcome(&error)
        } else {
          error
        })
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
    let began = SystemTime::now();
    let mut rejected: Option<Arc<Lease>> = None;
    // Set by the first attempt of a write that may have been done.
    let mut unknown: Option<StoreError> = None;
    let mut turn = 0;
    loop {
      let lease = match self.lease_in_time(&call, rejected.as_ref()).await {
        Ok(lease) => lease,
        Err(failure) if is_passing(&failure) && call.backoff.pause().await => continue,
        Err(failure) => return Err(unknown.unwrap_or_else(|| failure.into())),
      };
      let has_id = call.is_write() && lease.extensions.idempotency;
      if let Some(unknown) = &unknown {
        let is_late = began.elapsed().is_ok_and(|elapsed| elapsed > REPEATING);
        if is_late || !(has_id || call.is_repeatable) {
          return Err(unknown.clone());
        }
      }
      let endpoint = self.endpoints.choose(&lease, call.is_eventual, turn);
      let started = Instant::now();
      let attempt = self.attempt(&lease, &endpoint, &call, &read);
      let limit = call
        .backoff
        .left()
        .map_or(ATTEMPT, |left| left.min(ATTEMPT));
      let failed = match tokio::time::timeout(limit, attempt).await {
        Ok(Ok(answer)) => {
          self.endpoints.note(&endpoint, started.elapsed());
          return Ok(answer);
        }
        Ok(Err(failed)) => failed,
        Err(_) => broken(&endpoint, &TransportError::timed_out(call.method)),
      };
      turn += 1;
      let last = match failed {
        Attempt::Fatal(error) if is_final(&error) => return Err(error),
        Attempt::Fatal(error) => return Err(unknown.unwrap_or(error)),
        Attempt::Unauthorized(error) => {
          if rejected.is_some() {
            return Err(unknown.unwrap_or(error));
          }
          // At once.
          rejected = Some(lease);
          continue;
        }
        Attempt::Passing { error, is_unknown } => {
          self.endpoints.note_failure(&endpoint);
          if call.is_write() && is_unknown {
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

  /// The metadata, within the time that is left of a call.
  async fn lease_in_time(
    &self,
    call: &Call,
    rejected: Option<&Arc<Lease>>,
  ) -> Result<Arc<Lease>, Failure> {
    let lease = self.exchange.lease(rejected);
    let Some(left) = call.backoff.left() else {
      return lease.await;
    };
    let late = |_| {
      let message = "no metadata came in time".to_owned();
      Err(Failure::new(ErrorKind::Unavailable, message))
    };
    tokio::time::timeout(left, lease).await.unwrap_or_else(late)
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
    // Streams, and polls for messages, wait for most of their time.
    let _place = match call.method {
      "snapshot_read" | "atomic_write" => self.calls.acquire().await.ok(),
      _ => None,
    };
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
}

/// The server does not do what it was asked for; other metadata may name one that does.
pub(super) struct Unserved(pub(super) StoreError);

impl Unserved {
  pub(super) fn new(kind: ErrorKind, message: &str) -> Self {
    Self(StoreError::new(kind, message))
  }
}

/// Whether an error says what became of the call, whatever became of an earlier attempt.
fn is_final(error: &StoreError) -> bool {
  matches!(
    error.kind(),
    ErrorKind::TypeMismatch | ErrorKind::Value | ErrorKind::UnknownOutcome
  )
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
    // A proxy says so also of a request that it has passed on.
    (_, status) if is_passing_status(status) => Attempt::Passing {
      error: error(ErrorKind::Unavailable),
      is_unknown: status != StatusCode::TOO_MANY_REQUESTS,
    },
    _ => Attempt::Fatal(error(ErrorKind::Refused)),
  }
}

fn is_passing_status(status: StatusCode) -> bool {
  status == StatusCode::TOO_MANY_REQUESTS
    || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

fn unknown_outcome(error: &StoreError) -> StoreError {
  let message = format!("{error}; the write may have been committed");
  StoreError::new(ErrorKind::UnknownOutcome, message)
}
