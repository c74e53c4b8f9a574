//! Which call a request is, and who answers it.

use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::admit::admit;
use super::call::Call;
use super::request::Peer;
use super::respond::{Body, Refusal};
use super::{Shared, metadata, queue, read, watch, write};

/// Answers a request, whatever it is.
pub(super) async fn handle(
  shared: &Arc<Shared>,
  peer: Peer,
  request: Request<Incoming>,
) -> Response<Body> {
  let started = Instant::now();
  // Cheap: it shares its bytes.
  let uri = request.uri().clone();
  let (call, result) = match call_of(shared, request.method(), uri.path()) {
    Ok((name, call)) => {
      let result = answer(shared, peer, request, name, call).await;
      (call, result)
    }
    Err(refusal) => (Call::Unknown, Err(refusal)),
  };
  let response = result.unwrap_or_else(|refusal| {
    tracing::debug!(
      target: "kv_connect", peer = %peer.address, call = call.name(), reason = %refusal.message, "refused"
    );
    refusal.into_response()
  });
  shared.metrics.answered(call, &response, started.elapsed());
  tracing::debug!(
    target: "kv_connect", peer = %peer.address, call = call.name(), path = uri.path(), status = response.status().as_u16(),
    us = started.elapsed().as_micros() as u64, "answered"
  );
  response
}

/// The database's name, and the call.
fn call_of<'p>(
  shared: &Shared,
  method: &Method,
  path: &'p str,
) -> Result<(Option<&'p str>, Call), Refusal> {
  if method != Method::POST {
    return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, ""));
  }
  let path = path.strip_prefix('/').ok_or_else(Refusal::not_found)?;
  let (name, rest) = match shared.databases.have_names() {
    false => (None, path),
    true => {
      let (name, rest) = path.split_once('/').unwrap_or((path, ""));
      (Some(name), rest)
    }
  };
  let call = match rest {
    "" => Call::Metadata,
    "v3/snapshot_read" => Call::Read,
    "v3/atomic_write" => Call::Write,
    "v3/watch" => Call::Watch,
    "v3/queue_exchange" => Call::Queue,
    _ => return Err(Refusal::not_found()),
  };
  Ok((name, call))
}

async fn answer(
  shared: &Arc<Shared>,
  peer: Peer,
  request: Request<Incoming>,
  name: Option<&str>,
  call: Call,
) -> Result<Response<Body>, Refusal> {
  if call == Call::Metadata {
    return metadata::answer(shared, peer, name, request).await;
  }
  let request = admit(shared, request, name, call).await?;
  shared.metrics.received(request.body.len());
  match call {
    Call::Read => read::answer(shared, request).await,
    Call::Write => write::answer(shared, request).await,
    Call::Watch => watch::answer(shared, request).await,
    Call::Queue => queue::answer(shared, request).await,
    Call::Metadata | Call::Unknown => Err(Refusal::not_found()),
  }
}
