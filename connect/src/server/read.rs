//! `snapshot_read`.

use http::Response;
use kv_store::engine::ReadOptions;
use prost::Message;

use super::Shared;
use super::respond::{Body, Refusal, message};
use super::route::DataRequest;
use crate::protocol::messages::{SnapshotRead, SnapshotReadOutput};

pub(super) async fn answer(
  shared: &Shared,
  request: DataRequest,
) -> Result<Response<Body>, Refusal> {
  let ranges = decode::<SnapshotRead>(&request.body)?.ranges(&shared.limits.calls)?;
  let read = request
    .database
    .reads
    .snapshot_read(ranges, ReadOptions::default());
  let entries = read.wait().await?;
  let response = message(&SnapshotReadOutput::success(&entries, true));
  drop(request.permit);
  Ok(response)
}

/// A request's message.
pub(super) fn decode<M: Message + Default>(body: &[u8]) -> Result<M, Refusal> {
  M::decode(body)
    .map_err(|error| Refusal::bad_request(format!("Request protobuf is invalid: {error}.")))
}
