//! Which call a request is, and whether its client may make it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use uuid::Uuid;

use super::databases::Database;
use super::gate::Permit;
use super::metrics::Call;
use super::respond::{Body, Refusal};
use super::tokens::{Rights, Token};
use super::{Shared, metadata, queue, read, watch, write};
use crate::protocol::{
  HEADER_DATABASE_ID, HEADER_DOMAIN_ID, HEADER_VERSION, MAX_REQUEST_BYTES, too_many,
};

/// A request of the data path whose client may make it.
pub(super) struct DataRequest {
  pub(super) database: Arc<Database>,
  pub(super) headers: HeaderMap,
  pub(super) body: Bytes,
  pub(super) session_owner: super::tokens::TokenId,
  /// Given back when the answer is complete.
  pub(super) permit: Permit,
}

/// Answers a request, whatever it is.
pub(super) async fn handle(
  shared: &Arc<Shared>,
  peer: IpAddr,
  request: Request<Incoming>,
) -> Response<Body> {
  let started = Instant::now();
  let call = call_of(shared, &request);
  let result = match call {
    Ok((name, call)) => answer(shared, peer, request, name.as_deref(), call).await,
    Err(refusal) => Err(refusal),
  };
  let call = match &result {
    Ok((call, _)) => *call,
    Err(_) => Call::Refused,
  };
  let response = match result {
    Ok((_, response)) => response,
    Err(refusal) => {
      tracing::debug!(
        target: "kv_connect", %peer, status = refusal.status.as_u16(), reason = %refusal.message, "refused"
      );
      refusal.into_response()
    }
  };
  shared
    .metrics
    .answered(call, response.status(), started.elapsed());
  tracing::debug!(
    target: "kv_connect", %peer, call = call.name(), status = response.status().as_u16(),
    us = started.elapsed().as_micros() as u64, "answered"
  );
  response
}

/// The database's name, and the call.
fn call_of(
  shared: &Shared,
  request: &Request<Incoming>,
) -> Result<(Option<String>, Call), Refusal> {
  let not_found = || Refusal::new(StatusCode::NOT_FOUND, "Resource not found.");
  if request.method() != Method::POST {
    return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, ""));
  }
  let path = request.uri().path();
  let path = path.strip_prefix('/').ok_or_else(not_found)?;
  let (name, rest) = match shared.databases.have_names() {
    false => (None, path),
    true => {
      let (name, rest) = path.split_once('/').unwrap_or((path, ""));
      (Some(name.to_owned()), rest)
    }
  };
  let call = match rest {
    "" => Call::Metadata,
    "v3/snapshot_read" => Call::Read,
    "v3/atomic_write" => Call::Write,
    "v3/watch" => Call::Watch,
    "v3/queue_exchange" => Call::Queue,
    _ => return Err(not_found()),
  };
  Ok((name, call))
}

async fn answer(
  shared: &Arc<Shared>,
  peer: IpAddr,
  request: Request<Incoming>,
  name: Option<&str>,
  call: Call,
) -> Result<(Call, Response<Body>), Refusal> {
  if call == Call::Metadata {
    let (parts, body) = request.into_parts();
    let body = whole_body(shared, body).await?;
    let response = metadata::answer(shared, peer, name, &parts, &body).await?;
    return Ok((call, response));
  }
  let request = admit(shared, peer, request, name, call).await?;
  shared.metrics.received(request.body.len());
  let response = match call {
    Call::Read => read::answer(shared, request).await?,
    Call::Write => write::answer(shared, request).await?,
    Call::Watch => watch::answer(shared, request).await?,
    Call::Queue => queue::answer(shared, request).await?,
    Call::Metadata | Call::Refused => return Err(Refusal::bad_request("no such call")),
  };
  Ok((call, response))
}

/// Checks version, token and database of a request, and reads its body.
async fn admit(
  shared: &Arc<Shared>,
  peer: IpAddr,
  request: Request<Incoming>,
  name: Option<&str>,
  call: Call,
) -> Result<DataRequest, Refusal> {
  let (parts, body) = request.into_parts();
  let headers = parts.headers;
  let id_header = match header(&headers, HEADER_VERSION) {
    Some("2" | "3") => HEADER_DATABASE_ID,
    None if headers.contains_key(HEADER_DOMAIN_ID) => HEADER_DOMAIN_ID,
    _ => return Err(Refusal::bad_request("Expected protocol version 2 or 3.")),
  };
  if shared.gates.is_shut_to(peer) {
    return Err(too_many_wrong_tokens());
  }
  let secret = bearer(&headers)?;
  let tokens = shared.tokens();
  // Strangers don't learn which databases there are.
  if !tokens.may_know(secret) {
    return Err(wrong_token(shared, peer));
  }
  let database = shared
    .databases
    .get(name, false, shared.is_read_only)
    .await?;
  let token = tokens.verify(secret, database.id, SystemTime::now());
  let Some(token) = token.filter(|token| token.is_for(name)) else {
    return Err(wrong_token(shared, peer));
  };
  let id = header(&headers, id_header).and_then(|id| Uuid::parse_str(id).ok());
  if id != Some(database.id) {
    return Err(Refusal::bad_request("Invalid database id."));
  }
  must_allow(token, call)?;
  let session_owner = token.id();
  let permit = match call {
    Call::Watch | Call::Queue => shared.gates.watch(session_owner).await,
    _ => shared.gates.request(session_owner).await,
  };
  let permit = permit.ok_or_else(|| {
    Refusal::unavailable("too many requests of this token are at work; nothing was done")
  })?;
  let body = whole_body(shared, body).await?;
  if let Some(reason) = too_many(call.name(), &body) {
    return Err(Refusal::bad_request(reason));
  }
  Ok(DataRequest {
    database,
    headers,
    body,
    session_owner,
    permit,
  })
}

fn must_allow(token: &Token, call: Call) -> Result<(), Refusal> {
  let Rights { read, write, queue } = token.allows();
  let (is_allowed, right) = match call {
    Call::Read | Call::Watch => (read, "read"),
    Call::Write => (write, "write"),
    Call::Queue => (queue, "listen to the queue"),
    Call::Metadata | Call::Refused => (true, ""),
  };
  match is_allowed {
    true => Ok(()),
    false => Err(Refusal::forbidden(format!("This token may not {right}."))),
  }
}

pub(super) fn header<'h>(headers: &'h HeaderMap, name: &'static str) -> Option<&'h str> {
  headers.get(HeaderName::from_static(name))?.to_str().ok()
}

/// The token that a client shows.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
  let malformed = || Refusal::new(StatusCode::UNAUTHORIZED, "Malformed authorization header.");
  let value = headers
    .get(AUTHORIZATION)
    .and_then(|value| value.to_str().ok());
  let (scheme, secret) = value
    .and_then(|value| value.split_once(' '))
    .ok_or_else(malformed)?;
  match scheme.eq_ignore_ascii_case("bearer") {
    true => Ok(secret.trim()),
    false => Err(invalid_token()),
  }
}

fn invalid_token() -> Refusal {
  Refusal::new(StatusCode::UNAUTHORIZED, "Invalid access token.")
}

/// The answer to a wrong token, which is counted.
pub(super) fn wrong_token(shared: &Shared, peer: IpAddr) -> Refusal {
  shared.gates.note_wrong_token(peer);
  invalid_token()
}

pub(super) fn too_many_wrong_tokens() -> Refusal {
  Refusal::new(
    StatusCode::TOO_MANY_REQUESTS,
    "Too many wrong access tokens from this address; try again in a minute.",
  )
}

/// A request's body. One that is too large, or does not come in time, is refused.
async fn whole_body(shared: &Shared, body: Incoming) -> Result<Bytes, Refusal> {
  let too_large = || {
    Refusal::new(
      StatusCode::PAYLOAD_TOO_LARGE,
      "The request body is too large.",
    )
  };
  if body.size_hint().lower() > MAX_REQUEST_BYTES as u64 {
    return Err(too_large());
  }
  let collected = Limited::new(body, MAX_REQUEST_BYTES).collect();
  match tokio::time::timeout(shared.limits.body_time, collected).await {
    Ok(Ok(body)) => Ok(body.to_bytes()),
    Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
    // Nobody reads this.
    Ok(Err(_)) => Err(Refusal::bad_request("The request body broke off.")),
    Err(_) => Err(Refusal::new(
      StatusCode::REQUEST_TIMEOUT,
      "The request body did not come in time.",
    )),
  }
}
