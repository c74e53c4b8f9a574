//! A request of the data path, and what is read of any request.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use prost::Message;

use super::Shared;
use super::call::Call;
use super::databases::Database;
use super::gate::{Gate, Permit};
use super::respond::Refusal;
use super::tokens::TokenId;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
  pub(super) address: IpAddr,
  pub(super) is_encrypted: bool,
}

/// A request of the data path whose client may make it.
pub(super) struct DataRequest {
  pub(super) database: Arc<Database>,
  pub(super) headers: HeaderMap,
  pub(super) body: Bytes,
  pub(super) token: TokenId,
  /// What else of the token's work there is room for.
  pub(super) gate: Gate,
  /// Given back when the answer was sent.
  pub(super) permit: Permit,
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

pub(super) fn invalid_token() -> Refusal {
  Refusal::new(StatusCode::UNAUTHORIZED, "Invalid access token.")
}

/// A request's message.
pub(super) fn decode<M: Message + Default>(body: &[u8]) -> Result<M, Refusal> {
  M::decode(body)
    .map_err(|error| Refusal::bad_request(format!("Request protobuf is invalid: {error}.")))
}

/// A request's body. One that is too large, or does not come in time, is refused.
pub(super) async fn whole_body(
  shared: &Shared,
  body: Incoming,
  call: Call,
) -> Result<Bytes, Refusal> {
  let most = call.most_bytes();
  let too_large = || {
    Refusal::new(
      StatusCode::PAYLOAD_TOO_LARGE,
      "The request body is too large.",
    )
  };
  if body.size_hint().lower() > most as u64 {
    return Err(too_large());
  }
  let collected = Limited::new(body, most).collect();
  let collected = tokio::select! {
    biased;
    collected = tokio::time::timeout(shared.limits.body_time, collected) => collected,
    () = shared.stopped() => return Err(super::respond::stopping()),
  };
  match collected {
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
