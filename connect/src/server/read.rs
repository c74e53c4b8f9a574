//! `snapshot_read`.

use http::Response;
use kv_store::engine::{Entries, ReadOptions, ReadRange};

use super::Shared;
use super::admit::busy;
use super::gate::LARGE;
use super::request::{DataRequest, decode};
use super::respond::{Body, Refusal, keeping, message};
use crate::protocol::messages::{SnapshotRead, SnapshotReadOutput};

/// As many entries, of 64 KiB each at most, are no large answer.
const FEW: u32 = 15;

pub(super) async fn answer(
  shared: &Shared,
  request: DataRequest,
) -> Result<Response<Body>, Refusal> {
  let ranges = decode::<SnapshotRead>(&request.body)?.ranges(&shared.limits.calls)?;
  // Held until a large answer was sent: it may lie here as long as its client likes.
  let large = match may_be_large(&ranges) {
    true => Some(request.gate.large_answer().await.ok_or_else(busy)?),
    false => None,
  };
  let read = request
    .database
    .reads
    .snapshot_read(ranges, ReadOptions::default());
  let entries = read.wait().await?;
  let large = large.filter(|_| bytes(&entries) > LARGE);
  let response = message(&SnapshotReadOutput::success(&entries, true));
  Ok(keeping(response, (request.permit, large)))
}

fn may_be_large(ranges: &[ReadRange]) -> bool {
  let limits = ranges.iter().map(|range| range.limit.get());
  limits.sum::<u32>() > FEW
}

fn bytes(ranges: &[Entries]) -> usize {
  let entries = ranges.iter().flat_map(Entries::iter);
  entries
    .map(|entry| entry.key.len() + entry.value.size())
    .sum()
}
