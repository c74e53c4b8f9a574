use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use kv_store::engine::{ErrorKind, Held, Notifier, StoreError};
use prost::Message;

use super::remote::{Call, Remote};
use super::retry::Backoff;
use super::transport::BodyStream;
use crate::protocol::FrameReader;
use crate::protocol::messages::{SnapshotReadStatus, Watch, WatchKey, WatchOutput};

/// A stream that is silent for so long has broken. Servers send a sign of life every five seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// After a stream that has lived for so long, the next one is opened at once.
const LONG: Duration = Duration::from_secs(10);
/// A watch fails when so many streams in a row say nothing that it understands.
const WRONG: u32 = 5;

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
  let mut wrong = 0;
  loop {
    let call = Call {
      method: "watch",
      body: body.clone(),
      most_bytes: usize::MAX,
      is_eventual: false,
      write_id: None,
      is_repeatable: true,
      backoff: Backoff::endless(),
    };
    let stream = match remote.open_stream(call).await {
      Ok(stream) => stream,
      Err(error) => return notifier.fail(error),
    };
    let started = Instant::now();
    match follow(stream, count, &notifier).await {
      Ok(()) => wrong = 0,
      Err(error) => {
        tracing::warn!(target: "kv_connect", %error, "a watch can't be followed");
        wrong += 1;
        if wrong == WRONG {
          return notifier.fail(error);
        }
      }
    }
    if started.elapsed() >= LONG {
      pauses.reset();
    }
    pauses.pause().await;
  }
}

/// Tells what a stream says, until it ends.
///
/// # Errors
/// It says what makes no sense.
async fn follow(
  mut stream: BodyStream,
  count: usize,
  notifier: &Notifier,
) -> Result<(), StoreError> {
  let invalid = |error: String| StoreError::new(ErrorKind::Refused, error);
  let mut frames = FrameReader::default();
  let mut state: Option<Vec<Option<Held>>> = None;
  while let Ok(Some(Ok(piece))) = tokio::time::timeout(SILENCE, stream.next()).await {
    frames.push(&piece);
    while let Some(frame) = frames
      .next_frame()
      .map_err(|error| invalid(error.to_string()))?
    {
      notifier.values(apply(frame, count, &mut state).map_err(invalid)?);
    }
  }
  Ok(())
}

/// The values of all keys after a frame.
fn apply(
  frame: WatchOutput,
  count: usize,
  state: &mut Option<Vec<Option<Held>>>,
) -> Result<Vec<Option<Held>>, String> {
  if SnapshotReadStatus::try_from(frame.status) != Ok(SnapshotReadStatus::Success) {
    return Err(format!(
      "Reads are disabled for this database (status {})",
      frame.status
    ));
  }
  if frame.keys.len() != count {
    return Err(format!(
      "a frame of a watch has {} keys instead of {count}",
      frame.keys.len()
    ));
  }
  if state.is_none() && !frame.keys.iter().all(|key| key.changed) {
    return Err("the first frame of a watch leaves keys out".into());
  }
  let values = state.get_or_insert_with(|| vec![None; count]);
  for (value, key) in values.iter_mut().zip(frame.keys) {
    if key.changed {
      let held = key.entry_if_changed.map(|entry| entry.held()).transpose();
      *value = held.map_err(|error| error.to_string())?;
    }
  }
  Ok(values.clone())
}
