//! Answers, and what errors look like.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, SizeHint};
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

  pub(super) fn not_found() -> Self {
    Self::new(StatusCode::NOT_FOUND, "Resource not found.")
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

/// The server stops: another one, or this one after its start, answers.
pub(super) fn stopping() -> Refusal {
  Refusal::unavailable("the server is stopping; nothing was done")
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
      ErrorKind::Unauthorized | ErrorKind::Refused => StatusCode::FORBIDDEN,
      // What trying again does not mend. (Deno repeats every 5xx for ever.)
      ErrorKind::Unsupported
      | ErrorKind::CannotOpen
      | ErrorKind::NotADatabase
      | ErrorKind::NewerFormat
      | ErrorKind::Replaced
      | ErrorKind::Full
      | ErrorKind::Io
      | ErrorKind::ReadOnly
      | ErrorKind::Damaged => StatusCode::CONFLICT,
      // After an error nothing is stored, so trying again does no harm.
      _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let is_own_fault = !matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN);
    if is_own_fault {
      tracing::warn!(target: "kv_connect", %error, "the store has failed");
    }
    Self {
      status,
      message: error.to_string(),
      kind: Some(error.kind()),
    }
  }
}

/// Pieces that a large body is sent in: what waits for the client's window is one of them, and not the whole.
const PIECE: usize = 64 << 10;

/// A whole body, piece by piece.
struct Whole(Bytes);

impl hyper::body::Body for Whole {
  type Data = Bytes;
  type Error = Infallible;

  fn poll_frame(
    mut self: Pin<&mut Self>,
    _: &mut Context<'_>,
  ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
    if self.0.is_empty() {
      return Poll::Ready(None);
    }
    let length = self.0.len().min(PIECE);
    let piece = self.0.split_to(length);
    Poll::Ready(Some(Ok(Frame::data(piece))))
  }

  fn is_end_stream(&self) -> bool {
    self.0.is_empty()
  }

  fn size_hint(&self) -> SizeHint {
    SizeHint::with_exact(self.0.len() as u64)
  }
}

fn full(bytes: impl Into<Bytes>) -> Body {
  Whole(bytes.into()).boxed_unsync()
}

/// A body that keeps something until it was sent, or given up.
struct Keeping<K> {
  body: Body,
  _kept: K,
}

impl<K: Unpin> hyper::body::Body for Keeping<K> {
  type Data = Bytes;
  type Error = Infallible;

  fn poll_frame(
    mut self: Pin<&mut Self>,
    context: &mut Context<'_>,
  ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
    Pin::new(&mut self.body).poll_frame(context)
  }

  fn is_end_stream(&self) -> bool {
    self.body.is_end_stream()
  }

  // Answers have a length by it.
  fn size_hint(&self) -> SizeHint {
    self.body.size_hint()
  }
}

/// The same answer, which keeps something until its body was sent, or given up.
pub(super) fn keeping(
  response: Response<Body>,
  kept: impl Send + Unpin + 'static,
) -> Response<Body> {
  response.map(|body| Keeping { body, _kept: kept }.boxed_unsync())
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
