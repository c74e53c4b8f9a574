//! The metadata exchange: JSON in both directions, at the URL of the database.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;
use uuid::Uuid;

use super::NEWEST_VERSION;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetadataRequest {
  /// The versions of the protocol that the client knows.
  pub supported_versions: Vec<u32>,
}

impl Default for MetadataRequest {
  /// All that this crate knows.
  fn default() -> Self {
    Self {
      supported_versions: (1..=NEWEST_VERSION).collect(),
    }
  }
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseMetadata {
  /// The version of the protocol: 1, 2 or 3.
  pub version: u32,
  /// The database's id.
  pub database_id: Uuid,
  /// Where the data path is; at least one is strong.
  pub endpoints: Vec<Endpoint>,
  /// The bearer token of the data path.
  pub token: String,
  /// When the token ends.
  pub expires_at: SystemTime,
}

/// Does not show the token.
impl fmt::Debug for DatabaseMetadata {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("DatabaseMetadata")
      .field("version", &self.version)
      .field("database_id", &self.database_id)
      .field("endpoints", &self.endpoints)
      .field("expires_at", &self.expires_at)
      .finish_non_exhaustive()
  }
}

/// Where the data path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
  /// Without a slash at the end. A method's name is appended after a slash.
  pub url: String,
  /// What can be asked there.
  pub consistency: EndpointConsistency,
}

/// What can be asked of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointConsistency {
  /// Everything.
  Strong,
  /// Reads that may miss commits of the last moments.
  Eventual,
}

/// As it is sent. npm's client refuses every field beyond these.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
  version: u32,
  database_id: String,
  endpoints: Vec<JsonEndpoint>,
  token: String,
  expires_at: String,
}

#[derive(Serialize, Deserialize)]
struct JsonEndpoint {
  url: String,
  consistency: EndpointConsistency,
}

/// An answer that is no metadata, or not that of a database that can be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMetadata {
  /// Not the JSON that is expected.
  #[error("{0}")]
  Json(#[from] serde_json::Error),
  /// A version that was not asked for.
  #[error("unsupported KV Connect metadata version {0}")]
  Version(u32),
  /// Not a UUID.
  #[error("invalid database ID: {0}")]
  DatabaseId(String),
  /// Not a time.
  #[error("invalid expiry: {0}")]
  ExpiresAt(String),
  /// An endpoint's URL that can't be used.
  #[error("invalid endpoint URL: {0}: {1}")]
  Endpoint(String, String),
  /// No endpoint takes writes.
  #[error("no strong consistency endpoints")]
  NoStrongEndpoint,
  /// An empty token, or one that a header can't carry.
  #[error("the token is not one of visible ASCII characters")]
  NoToken,
}

impl DatabaseMetadata {
  /// The answer as it is sent.
  pub fn to_json(&self) -> String {
    // Both npm's client and Deno's want a time that ends with Z.
    let expires_at = OffsetDateTime::from(self.expires_at);
    let json = Json {
      version: self.version,
      database_id: self.database_id.to_string(),
      endpoints: self
        .endpoints
        .iter()
        .map(|endpoint| JsonEndpoint {
          url: endpoint.url.clone(),
          consistency: endpoint.consistency,
        })
        .collect(),
      token: self.token.clone(),
      expires_at: expires_at.format(&Rfc3339).unwrap_or_default(),
    };
    // Strings and numbers always are JSON.
    serde_json::to_string(&json).unwrap_or_default()
  }

  /// Reads an answer. `base` is the URL that it came from; in version 1 the endpoints' URLs are absolute.
  ///
  /// # Errors
  /// It is no metadata, or names no endpoint for writes.
  pub fn from_json(json: &[u8], base: &Url) -> Result<Self, InvalidMetadata> {
    let json: Json = serde_json::from_slice(json)?;
    if !(1..=NEWEST_VERSION).contains(&json.version) {
      return Err(InvalidMetadata::Version(json.version));
    }
    let Ok(database_id) = Uuid::parse_str(&json.database_id) else {
      return Err(InvalidMetadata::DatabaseId(json.database_id));
    };
    let Ok(expires_at) = OffsetDateTime::parse(&json.expires_at, &Rfc3339) else {
      return Err(InvalidMetadata::ExpiresAt(json.expires_at));
    };
    if json.token.is_empty() || !json.token.bytes().all(|byte| byte.is_ascii_graphic()) {
      return Err(InvalidMetadata::NoToken);
    }
    let endpoints = json.endpoints.into_iter().map(|endpoint| {
      let url = endpoint_url(&endpoint.url, json.version, base)?;
      Ok(Endpoint {
        url,
        consistency: endpoint.consistency,
      })
    });
    let endpoints = endpoints.collect::<Result<Vec<_>, InvalidMetadata>>()?;
    let is_strong = |endpoint: &Endpoint| endpoint.consistency == EndpointConsistency::Strong;
    if !endpoints.iter().any(is_strong) {
      return Err(InvalidMetadata::NoStrongEndpoint);
    }
    Ok(Self {
      version: json.version,
      database_id,
      endpoints,
      token: json.token,
      expires_at: expires_at.into(),
    })
  }

  /// How long the token can be used from now on.
  pub fn expires_in(&self, now: SystemTime) -> Duration {
    self.expires_at.duration_since(now).unwrap_or_default()
  }
}

/// The whole URL of an endpoint.
fn endpoint_url(text: &str, version: u32, base: &Url) -> Result<String, InvalidMetadata> {
  let invalid = |reason: &str| InvalidMetadata::Endpoint(text.to_owned(), reason.to_owned());
  let url = match version {
    1 => Url::parse(text),
    _ => base.join(text),
  };
  let url = url.map_err(|error| invalid(&error.to_string()))?;
  if !matches!(url.scheme(), "http" | "https") {
    return Err(invalid("it is not http or https"));
  }
  if url.query().is_some() || url.fragment().is_some() {
    return Err(invalid("it has a query or a fragment"));
  }
  // A bare origin is written with a slash.
  if url.path() != "/" && url.path().ends_with('/') {
    return Err(invalid("endpoint URL must not end with '/'"));
  }
  Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
  use super::*;

  const REFERENCE: &str = r#"{"version":3,"databaseId":"00000000-0000-0000-0000-000000000000","endpoints":[{"url":"/v2","consistency":"strong"}],"token":"reference-token-0001","expiresAt":"2026-11-27T22:58:22.944945451Z"}"#;

  fn base() -> Url {
    Url::parse("http://127.0.0.1:4512/name").unwrap()
  }

  #[test]
  fn the_reference_servers_answer() {
    let metadata = DatabaseMetadata::from_json(REFERENCE.as_bytes(), &base()).unwrap();
    assert_eq!(metadata.endpoints[0].url, "http://127.0.0.1:4512/v2");
    assert_eq!(metadata.token, "reference-token-0001");
    let mut own = metadata.clone();
    own.endpoints[0].url = "/v2".into();
    assert_eq!(own.to_json(), REFERENCE);
  }

  #[test]
  fn answers_that_can_not_be_used() {
    let with = |from: &str, to: &str| REFERENCE.replace(from, to);
    for json in [
      String::new(),
      with("\"version\":3", "\"version\":4"),
      with("00000000-", "0-"),
      with("strong", "eventual"),
      with("strong", "weak"),
      with("/v2", "/v2/"),
      with("/v2", "/v2?x"),
      with("/v2", "ftp://host/v2"),
      with("\"version\":3", "\"version\":1"),
      with("reference-token-0001", ""),
      with("reference-token-0001", "a\\r\\nb"),
      with("2026-11-27T", "27.11.2026 "),
    ] {
      let read = DatabaseMetadata::from_json(json.as_bytes(), &base());
      assert!(read.is_err(), "{json}");
    }
    let offset = with("945451Z", "945451+02:00");
    assert!(DatabaseMetadata::from_json(offset.as_bytes(), &base()).is_ok());
  }
}
