use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use kv_store::engine::{Held, Notifier, StoreError};
use prost::Message;

use super::remote::{Call, Remote};
use super::retry::Backoff;
use super::transport::BodyStream;
use crate::protocol::FrameReader;
use crate::protocol::messages::{SnapshotReadStatus, Watch, WatchKey, WatchOutput};

/// A stream that is silent for so long has broken. Servers send a sign of life every five seconds.
const SILENCE: Duration = Duration::from_secs(30);

/// Watches keys for as long as the notifier's watcher lives. A stream that ends is opened again, and begins with the
/// state of all keys: states in between may be missed, the last one never is.
pub(super) async fn watch(remote: Arc<Remote>, keys: Vec<Vec<u8>>, notifier: Notifier) {
  if keys.is_empty() {
    return;
  }
  let count = keys.len();
  let message = Watch {
    keys: keys.into_iter().map(|key| WatchKey { key }).collect(),
  };
  let body: Bytes = message.encode_to_vec().into();
  let mut pauses = Backoff::endless();
  loop {
    let call = Call {
      method: "watch",
      body: body.clone(),
      is_eventual: false,
      write_id: None,
      is_repeatable: true,
      backoff: Backoff::endless(),
    };
    match remote.open_stream(call).await {
      Ok(stream) => {
        if follow(stream, count, &notifier).await {
          pauses.reset();
        }
      }
      Err(error) => return notifier.fail(error),
    }
    pauses.pause().await;
  }
}

/// Tells what a stream says, until it ends. Returns whether it has said anything.
async fn follow(mut stream: BodyStream, count: usize, notifier: &Notifier) -> bool {
  let mut frames = FrameReader::default();
  let mut state: Option<Vec<Option<Held>>> = None;
  while let Ok(Some(Ok(piece))) = tokio::time::timeout(SILENCE, stream.next()).await {
    frames.push(&piece);
    loop {
      match frames.next_frame() {
        Ok(Some(frame)) => match apply(frame, count, &mut state) {
          Ok(values) => notifier.values(values),
          Err(error) => {
            tracing::warn!(target: "kv_connect", %error, "a watch can't be followed");
            return false;
          }
        },
        Ok(None) => break,
        Err(error) => {
          tracing::warn!(target: "kv_connect", %error, "a watch can't be followed");
          return false;
        }
      }
    }
  }
  state.is_some()
}

/// The values of all keys after a frame.
fn apply(
  frame: WatchOutput,
  count: usize,
  state: &mut Option<Vec<Option<Held>>>,
) -> Result<Vec<Option<Held>>, StoreError> {
  let invalid = |message: String| StoreError::new(kv_store::engine::ErrorKind::Refused, message);
  if SnapshotReadStatus::try_from(frame.status) != Ok(SnapshotReadStatus::Success) {
    return Err(invalid(format!(
      "reads are disabled (status {})",
      frame.status
    )));
  }
  if frame.keys.len() != count {
    return Err(invalid(format!(
      "{} keys instead of {count}",
      frame.keys.len()
    )));
  }
  if state.is_none() && !frame.keys.iter().all(|key| key.changed) {
    return Err(invalid("the first frame leaves keys out".into()));
  }
  let values = state.get_or_insert_with(|| vec![None; count]);
  for (value, key) in values.iter_mut().zip(frame.keys) {
    if key.changed {
      let held = key.entry_if_changed.map(|entry| entry.held()).transpose();
      *value = held.map_err(|error| invalid(error.to_string()))?;
    }
  }
  Ok(values.clone())
}
