//! HTTP/1.1, with TLS where the URL says so, by the roots of the system.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http_body_util::{BodyDataStream, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::transport::{BodyStream, Transport, TransportError};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept that is not used.
const IDLE: Duration = Duration::from_secs(55);
/// Connections that are kept for later.
const KEPT: usize = 32;

pub(super) struct Http {
  client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
  /// # Errors
  /// The roots of the system can't be read.
  pub(super) fn new() -> Result<Self, std::io::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // Head and body of a request are two writes; see the server's socket.rs.
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new()
      .with_provider_and_native_roots(provider)?
      .https_or_http()
      .enable_http1()
      .wrap_connector(tcp);
    let client = Client::builder(TokioExecutor::new())
      .pool_timer(TokioTimer::new())
      .pool_idle_timeout(IDLE)
      .pool_max_idle_per_host(KEPT)
      .build(connector);
    Ok(Self { client })
  }
}

impl Transport for Http {
  fn send(
    &self,
    request: http::Request<Bytes>,
  ) -> BoxFuture<'static, Result<http::Response<BodyStream>, TransportError>> {
    let answer = self.client.request(request.map(Full::new));
    Box::pin(async move {
      let answer = answer.await.map_err(|error| match error.is_connect() {
        true => TransportError::not_sent(&error),
        false => TransportError::sent(&error),
      })?;
      Ok(answer.map(|body| {
        let pieces = BodyDataStream::new(body);
        pieces
          .map(|piece| piece.map_err(|error| TransportError::sent(&error)))
          .boxed()
      }))
    })
  }
}
