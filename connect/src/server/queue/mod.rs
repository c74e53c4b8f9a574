//! The extension `queue/1`: one call that receives messages, ends deliveries and renews leases (docs/kv-connect.md).

mod session;
mod sessions;

use std::sync::Arc;

use http::{Response, StatusCode};

pub(super) use sessions::Sessions;

use super::Shared;
use super::read::decode;
use super::respond::{Body, Refusal, message};
use super::route::DataRequest;
use crate::protocol::messages::{QueueExchange, QueueExchangeOutput, QueueStatus};

pub(super) async fn answer(
  shared: &Arc<Shared>,
  request: DataRequest,
) -> Result<Response<Body>, Refusal> {
  let exchange = decode::<QueueExchange>(&request.body)?;
  let database = request.database;
  if shared.is_read_only || !database.writes.capabilities().served_queue {
    return Ok(message(&QueueExchangeOutput {
      status: QueueStatus::Disabled.into(),
      ..QueueExchangeOutput::default()
    }));
  }
  let Ok(id) = <[u8; 16]>::try_from(exchange.session.as_slice()) else {
    return Err(Refusal::bad_request("invalid session: it has 16 bytes"));
  };
  let session = database.sessions.get(request.session_owner, id)?;
  let close = exchange.close;
  let output = session.exchange(shared, exchange).await?;
  if close {
    database.sessions.remove(request.session_owner, id);
  }
  drop(request.permit);
  Ok(message(&output))
}

/// The server stops: another one, or this one after its start, takes the session over.
fn stopping() -> Refusal {
  Refusal::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "the server is stopping; nothing was done",
  )
}
