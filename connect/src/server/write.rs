//! `atomic_write`.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Response;
use kv_store::engine::{ErrorKind, WriteId};
use uuid::Uuid;

use super::Shared;
use super::admit::busy;
use super::request::{DataRequest, decode, header};
use super::respond::{Body, Refusal, keeping, message};
use crate::protocol::HEADER_WRITE_ID;
use crate::protocol::messages::{AtomicWrite, AtomicWriteOutput, AtomicWriteStatus};

pub(super) async fn answer(
  shared: &Shared,
  request: DataRequest,
) -> Result<Response<Body>, Refusal> {
  let is_disabled = shared.is_read_only || !request.database.writes.capabilities().write;
  let mut write = decode::<AtomicWrite>(&request.body)?.checked(&shared.limits.calls, now_ms())?;
  if is_disabled {
    return Ok(message(&AtomicWriteOutput {
      status: AtomicWriteStatus::WriteDisabled.into(),
      ..AtomicWriteOutput::default()
    }));
  }
  if let Some(id) = header(&request.headers, HEADER_WRITE_ID) {
    let invalid = |_| Refusal::bad_request("invalid write id: it has 32 hexadecimal digits");
    write.id = Some(WriteId(Uuid::parse_str(id).map_err(invalid)?.into_bytes()));
  }
  // The store would hold this thread up if more waited for a commit than it has room for.
  let room = shared.gates.write(request.body.len()).await;
  let room = room.ok_or_else(busy)?;
  // Once it is asked for, it is done, whether or not the client waits for the answer.
  let outcome = request.database.writes.atomic_write(write).wait().await;
  if outcome
    .as_ref()
    .is_err_and(|error| error.kind() == ErrorKind::Replaced)
  {
    shared.databases.note_replaced(&request.database);
  }
  let outcome = outcome?;
  drop(room);
  let response = message(&AtomicWriteOutput::from(outcome));
  Ok(keeping(response, request.permit))
}

fn now_ms() -> u64 {
  let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
  elapsed.map_or(0, |elapsed| {
    elapsed.as_millis().try_into().unwrap_or(u64::MAX)
  })
}
