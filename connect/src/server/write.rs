//! `atomic_write`.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Response;
use kv_store::engine::WriteId;
use uuid::Uuid;

use super::Shared;
use super::read::decode;
use super::respond::{Body, Refusal, message};
use super::route::{DataRequest, header};
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
  // Once it is asked for, it is done, whether or not the client waits for the answer.
  let outcome = request.database.writes.atomic_write(write).wait().await?;
  let response = message(&AtomicWriteOutput::from(outcome));
  drop(request.permit);
  Ok(response)
}

fn now_ms() -> u64 {
  let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
  elapsed.map_or(0, |elapsed| {
    elapsed.as_millis().try_into().unwrap_or(u64::MAX)
  })
}
