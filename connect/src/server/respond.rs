//! Answers, and what errors look like.

use std::convert::Infallible;
use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kv_store::engine::{ErrorKind, StoreError};
use prost::Message;

use crate::protocol::{HEADER_ERROR_KIND, InvalidRequest, PROTOBUF};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub(super) struct Refusal {
  pub(super) status: StatusCode,
  pub(super) message: String,
  kind: Option<ErrorKind>,
}

impl Refusal {
  pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
    Self {
      status,
      message: message.into(),
      kind: None,
    }
  }

  pub(super) fn bad_request(message: impl Into<String>) -> Self {
    Self::new(StatusCode::BAD_REQUEST, message)
  }

  pub(super) fn forbidden(message: impl Into<String>) -> Self {
    Self::new(StatusCode::FORBIDDEN, message)
  }

  /// Clients repeat a request that is answered with 503: nothing of it may have been done.
  pub(super) fn unavailable(message: impl Into<String>) -> Self {
    Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
  }

  pub(super) fn into_response(self) -> Response<Body> {
    let mut response = Response::new(full(self.message));
    *response.status_mut() = self.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if let Some(kind) = self.kind.and_then(kind_name) {
      headers.insert(HEADER_ERROR_KIND, HeaderValue::from_static(kind));
    }
    if self.status == StatusCode::TOO_MANY_REQUESTS {
      headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
  }
}

/// The kinds of errors that a client tells a script about as if the database were in its process.
fn kind_name(kind: ErrorKind) -> Option<&'static str> {
  Some(match kind {
    ErrorKind::TypeMismatch => "type-mismatch",
    ErrorKind::Value => "value",
    ErrorKind::UnknownOutcome => "unknown-outcome",
    _ => return None,
  })
}

impl From<InvalidRequest> for Refusal {
  fn from(error: InvalidRequest) -> Self {
    Self::bad_request(error.to_string())
  }
}

impl From<StoreError> for Refusal {
  fn from(error: StoreError) -> Self {
    let status = match error.kind() {
      // The request's own fault.
      ErrorKind::TypeMismatch | ErrorKind::Value => StatusCode::BAD_REQUEST,
      // Not to be repeated without a look.
      ErrorKind::UnknownOutcome => StatusCode::CONFLICT,
      ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
      ErrorKind::Unauthorized | ErrorKind::Refused => StatusCode::FORBIDDEN,
      ErrorKind::Damaged => StatusCode::INTERNAL_SERVER_ERROR,
      // After an error nothing is stored, so trying again does no harm.
      _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    if status.is_server_error() {
      tracing::warn!(target: "kv_connect", %error, "the store has failed");
    }
    Self {
      status,
      message: error.to_string(),
      kind: Some(error.kind()),
    }
  }
}

fn full(bytes: impl Into<Bytes>) -> Body {
  Full::new(bytes.into()).boxed_unsync()
}

/// A whole answer. npm's client compares the content type for equality.
pub(super) fn whole(content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
  let mut response = Response::new(full(bytes));
  let content_type = HeaderValue::from_static(content_type);
  response.headers_mut().insert(CONTENT_TYPE, content_type);
  response
}

pub(super) fn message(message: &impl Message) -> Response<Body> {
  whole(PROTOBUF, message.encode_to_vec())
}

/// An answer that goes on until the stream ends.
pub(super) fn streamed(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
  use futures::StreamExt;
  let frames = frames.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
  let frames: Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(frames);
  let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
  let content_type = HeaderValue::from_static("application/octet-stream");
  response.headers_mut().insert(CONTENT_TYPE, content_type);
  response
}
