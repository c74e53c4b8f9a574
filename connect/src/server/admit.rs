//! Whether a client may make its request.

use std::time::SystemTime;

use http::Request;
use hyper::body::{Body as _, Incoming};
use uuid::Uuid;

use super::Shared;
use super::call::Call;
use super::request::{DataRequest, bearer, header, invalid_token, whole_body};
use super::respond::Refusal;
use super::tokens::{DataToken, Rights, Token};
use crate::protocol::{HEADER_DATABASE_ID, HEADER_DOMAIN_ID, HEADER_VERSION, too_many};

/// Checks version, token and database of a request, and reads its body.
pub(super) async fn admit(
  shared: &Shared,
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
  let data_token = DataToken::parse(bearer(&headers)?).ok_or_else(invalid_token)?;
  let tokens = shared.tokens();
  // Before the database is opened: strangers don't learn which there are.
  let token = tokens
    .named_by(&data_token, SystemTime::now())
    .filter(|token| token.is_for(name))
    .ok_or_else(invalid_token)?;
  let database = shared.databases.get(name, false).await?;
  if !token.has_signed(&data_token, database.id) {
    return Err(invalid_token());
  }
  let id = header(&headers, id_header).and_then(|id| Uuid::parse_str(id).ok());
  if id != Some(database.id) {
    return Err(Refusal::bad_request("Invalid database id."));
  }
  must_allow(token, call)?;
  let token = token.id();
  let gate = shared.gates.gate(token);
  let permit = gate.request().await.ok_or_else(busy)?;
  // What its head says, or the most.
  let length = body
    .size_hint()
    .upper()
    .map_or(usize::MAX, |bytes| bytes as usize);
  let bytes = gate.bytes(length.min(call.most_bytes())).await;
  let bytes = bytes.ok_or_else(busy)?;
  let body = whole_body(shared, body, call).await?;
  drop(bytes);
  if let Some(reason) = too_many(call.name(), &body) {
    return Err(Refusal::bad_request(reason));
  }
  Ok(DataRequest {
    database,
    headers,
    body,
    token,
    gate,
    permit,
  })
}

/// There was no room for the request in time.
pub(super) fn busy() -> Refusal {
  Refusal::unavailable(
    "too many requests, watches or waits for messages of this token are at work; nothing was done",
  )
}

fn must_allow(token: &Token, call: Call) -> Result<(), Refusal> {
  let Rights { read, write, queue } = token.allows();
  let (is_allowed, right) = match call {
    Call::Read | Call::Watch => (read, "read"),
    Call::Write => (write, "write"),
    Call::Queue => (queue, "listen to the queue"),
    Call::Metadata | Call::Unknown => (true, ""),
  };
  match is_allowed {
    true => Ok(()),
    false => Err(Refusal::forbidden(format!("This token may not {right}."))),
  }
}
