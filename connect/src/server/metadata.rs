//! The metadata exchange.

use std::net::IpAddr;
use std::time::SystemTime;

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};

use super::Shared;
use super::respond::{Body, Refusal, whole};
use super::route::{bearer, header, too_many_wrong_tokens, wrong_token};
use crate::protocol::{
  DatabaseMetadata, Endpoint, EndpointConsistency, Extensions, HEADER_EXTENSIONS, MetadataRequest,
  NEWEST_VERSION,
};

pub(super) async fn answer(
  shared: &Shared,
  peer: IpAddr,
  name: Option<&str>,
  parts: &Parts,
  body: &[u8],
) -> Result<Response<Body>, Refusal> {
  let version = negotiate(body)?;
  if shared.gates.is_shut_to(peer) {
    return Err(too_many_wrong_tokens());
  }
  let tokens = shared.tokens();
  let token = tokens.find(bearer(&parts.headers)?);
  let Some(token) = token.filter(|token| token.is_for(name)) else {
    return Err(wrong_token(shared, peer));
  };
  let may_create = token.allows().write && !shared.is_read_only;
  let databases = &shared.databases;
  let database = databases.get(name, may_create, shared.is_read_only).await?;
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
        1 => format!("{}{path}", origin(parts)?),
        _ => path,
      },
      consistency: EndpointConsistency::Strong,
    }],
    token: data_token,
    expires_at,
  };
  let mut response = whole("application/json", metadata.to_json());
  let known = extensions(shared, &database, parts);
  if !known.is_empty()
    && let Ok(value) = HeaderValue::from_str(&known.to_string())
  {
    response.headers_mut().insert(HEADER_EXTENSIONS, value);
  }
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
fn extensions(shared: &Shared, database: &super::databases::Database, parts: &Parts) -> Extensions {
  let asked = header(&parts.headers, HEADER_EXTENSIONS);
  let mut known = Extensions::parse(asked.unwrap_or_default());
  let capabilities = database.writes.capabilities();
  known.queue &= capabilities.served_queue && !shared.is_read_only;
  known.idempotency &= capabilities.write_ids && !shared.is_read_only;
  known
}

/// Where the client has sent its request.
fn origin(parts: &Parts) -> Result<String, Refusal> {
  let host = parts.uri.authority().map(|authority| authority.as_str());
  let host = host.or_else(|| parts.headers.get(HOST)?.to_str().ok());
  let host = host.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "The Host is missing."))?;
  // Behind a proxy that ends TLS, it says so.
  let scheme = header(&parts.headers, "x-forwarded-proto").or(parts.uri.scheme_str());
  Ok(format!("{}://{host}", scheme.unwrap_or("http")))
}
