use std::sync::Arc;

use http::Response;

use crate::protocol::messages::{QueueExchange, QueueExchangeOutput, QueueStatus};
use crate::server::Shared;
use crate::server::request::{DataRequest, decode};
use crate::server::respond::{Body, Refusal, message};

pub(in crate::server) async fn answer(
  shared: &Arc<Shared>,
  request: DataRequest,
) -> Result<Response<Body>, Refusal> {
  let exchange = decode::<QueueExchange>(&request.body)?;
  let sessions = &request.database.sessions;
  if shared.is_read_only || !request.database.writes.capabilities().served_queue {
    return Ok(message(&QueueExchangeOutput {
      status: QueueStatus::Disabled.into(),
      ..QueueExchangeOutput::default()
    }));
  }
  let Ok(id) = <[u8; 16]>::try_from(exchange.session.as_slice()) else {
    return Err(Refusal::bad_request("invalid session: it has 16 bytes"));
  };
  let heard = sessions.hear(request.token, id, exchange.lease_ms)?;
  let close = exchange.close;
  let output = heard.exchange(shared, request.permit, &request.gate, exchange);
  let output = output.await?;
  if close {
    sessions.remove(request.token, id);
  }
  Ok(message(&output))
}
