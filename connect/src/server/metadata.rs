//! The metadata exchange.

use std::time::SystemTime;

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use super::Shared;
use super::admit::busy;
use super::call::Call;
use super::databases::Database;
use super::request::{Peer, bearer, header, invalid_token, whole_body};
use super::respond::{Body, Refusal, whole};
use crate::protocol::{
  DatabaseMetadata, Endpoint, EndpointConsistency, Extensions, HEADER_EXTENSIONS, MetadataRequest,
  NEWEST_VERSION,
};

pub(super) async fn answer(
  shared: &Shared,
  peer: Peer,
  name: Option<&str>,
  request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
  let (parts, body) = request.into_parts();
  if shared.gates.is_shut_to(peer.address) {
    return Err(Refusal::new(
      StatusCode::TOO_MANY_REQUESTS,
      "Too many wrong access tokens from this address; try again in a minute.",
    ));
  }
  let tokens = shared.tokens();
  let Some(token) = tokens.find(bearer(&parts.headers)?) else {
    shared.gates.note_wrong_token(peer.address);
    return Err(invalid_token());
  };
  let permit = shared.gates.gate(token.id()).request().await;
  let permit = permit.ok_or_else(busy)?;
  let version = negotiate(&whole_body(shared, body, Call::Metadata).await?)?;
  if !token.is_for(name) {
    return Err(invalid_token());
  }
  let may_create = token.allows().write && !shared.is_read_only;
  let database = shared.databases.get(name, may_create).await?;
  let (data_token, expires_at) = token.issue(database.id, SystemTime::now());
  let path = match database.path().trim_end_matches('/') {
    "" => "/v3".to_owned(),
    path => format!("{path}/v3"),
  };
  let metadata = DatabaseMetadata {
    version,
    database_id: database.id,
    endpoints: vec![Endpoint {
      url: match version {
        1 => format!("{}{path}", origin(peer, &parts)?),
        _ => path,
      },
      consistency: EndpointConsistency::Strong,
    }],
    token: data_token,
    expires_at,
  };
  let mut response = whole("application/json", metadata.to_json());
  let known = extensions(shared, &database, &parts);
  if !known.is_empty()
    && let Ok(value) = HeaderValue::from_str(&known.to_string())
  {
    response.headers_mut().insert(HEADER_EXTENSIONS, value);
  }
  drop(permit);
  Ok(response)
}

/// The highest version that both sides know.
fn negotiate(body: &[u8]) -> Result<u32, Refusal> {
  if body.is_empty() {
    return Ok(1);
  }
  let request: MetadataRequest = serde_json::from_slice(body)
    .map_err(|_| Refusal::bad_request("The body is not the JSON of a metadata request."))?;
  let known = request.supported_versions.into_iter();
  let known = known.filter(|version| (1..=NEWEST_VERSION).contains(version));
  known.max().ok_or_else(|| {
    Refusal::bad_request(
      "The server could not negotiate a protocol version. The server knows versions 1, 2 and 3.",
    )
  })
}

/// What of the extensions that the client knows the server has.
fn extensions(shared: &Shared, database: &Database, parts: &Parts) -> Extensions {
  let asked = header(&parts.headers, HEADER_EXTENSIONS);
  let mut known = Extensions::parse(asked.unwrap_or_default());
  let capabilities = database.writes.capabilities();
  known.queue &= capabilities.served_queue && !shared.is_read_only;
  known.idempotency &= capabilities.write_ids && !shared.is_read_only;
  known
}

/// Where the client has sent its request.
fn origin(peer: Peer, parts: &Parts) -> Result<String, Refusal> {
  let host = parts.uri.authority().map(|authority| authority.as_str());
  let host = host.or_else(|| parts.headers.get(HOST)?.to_str().ok());
  let host = host.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "The Host is missing."))?;
  // Behind a proxy that ends TLS, it says so.
  let scheme = match header(&parts.headers, "x-forwarded-proto") {
    _ if peer.is_encrypted => "https",
    Some("https") => "https",
    _ => "http",
  };
  Ok(format!("{scheme}://{host}"))
}
