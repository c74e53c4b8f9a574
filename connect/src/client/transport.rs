use std::error::Error;
use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// The body of an answer, as it comes.
pub type BodyStream = BoxStream<'static, Result<Bytes, TransportError>>;

/// Sends requests. This crate brings one over HTTP/1.1 and TLS; an embedder with an HTTP client gives its own.
///
/// It follows no redirects, and repeats nothing.
pub trait Transport: Send + Sync {
  /// Sends a request, and returns the head of the answer with its body. Dropping the future, or the body, gives the
  /// request up.
  fn send(
    &self,
    request: http::Request<Bytes>,
  ) -> BoxFuture<'static, Result<http::Response<BodyStream>, TransportError>>;
}

/// Why there is no answer.
#[derive(Debug)]
pub struct TransportError {
  message: String,
  is_sent: bool,
}

impl TransportError {
  /// The request has not left: no connection could be made, for one. It is safe to send it again.
  pub fn not_sent(error: &(dyn Error + 'static)) -> Self {
    Self {
      message: chain(error),
      is_sent: false,
    }
  }

  /// The request may have arrived: the connection broke, or the answer did not come in time.
  pub fn sent(error: &(dyn Error + 'static)) -> Self {
    Self {
      message: chain(error),
      is_sent: true,
    }
  }

  pub(super) fn timed_out(what: &str) -> Self {
    Self {
      message: format!("no answer in time: {what}"),
      is_sent: true,
    }
  }

  /// Whether the request may have arrived.
  pub fn is_sent(&self) -> bool {
    self.is_sent
  }
}

/// An error and its causes: the outer ones of HTTP libraries say little.
fn chain(error: &(dyn Error + 'static)) -> String {
  let mut message = error.to_string();
  let mut source = error.source();
  while let Some(error) = source {
    let text = error.to_string();
    if !message.ends_with(&text) {
      message = format!("{message}: {text}");
    }
    source = error.source();
  }
  message
}

impl fmt::Display for TransportError {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&self.message)
  }
}

impl Error for TransportError {}
