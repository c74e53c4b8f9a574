//! `watch`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::unfold;
use http::Response;
use kv_store::Versionstamp;
use kv_store::engine::{Held, StoreError};
use kv_store::session::WatchStates;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::admit::busy;
use super::gate::Permit;
use super::metrics::WatchGauge;
use super::request::{DataRequest, decode};
use super::respond::{Body, Refusal, streamed};
use super::tokens::TokenId;
use crate::protocol::messages::{
  KvEntry, KvValue, SnapshotReadStatus, Watch, WatchKeyOutput, WatchOutput,
};
use crate::protocol::{KEEP_ALIVE, frame};

/// How often a silent stream says that it is alive. Node's client gives up after five minutes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

pub(super) async fn answer(
  shared: &Arc<Shared>,
  request: DataRequest,
) -> Result<Response<Body>, Refusal> {
  let keys = decode::<Watch>(&request.body)?.keys(&shared.limits.calls)?;
  let permit = request.gate.watch().await.ok_or_else(busy)?;
  let states = WatchStates::new(request.database.reads.clone(), keys.clone(), false)?;
  let stream = Stream {
    shared: shared.clone(),
    states,
    keys,
    last: None,
    next_sign: Instant::now() + SIGN_OF_LIFE,
    is_over: false,
    token: request.token,
    _permit: permit,
    _gauge: shared.metrics.watch(),
  };
  Ok(streamed(unfold(stream, |mut stream| async move {
    let bytes = stream.next().await?;
    Some((bytes, stream))
  })))
}

struct Stream {
  shared: Arc<Shared>,
  states: WatchStates,
  keys: Vec<Vec<u8>>,
  /// The versionstamps of what the client was told last.
  last: Option<Vec<Option<Versionstamp>>>,
  next_sign: Instant,
  is_over: bool,
  token: TokenId,
  _permit: Permit,
  _gauge: WatchGauge,
}

impl Stream {
  /// The next frame, or the end, which the client gets as a whole body.
  async fn next(&mut self) -> Option<Bytes> {
    if self.is_over {
      return None;
    }
    if self.keys.is_empty() && self.last.is_none() {
      // Nothing changes; but clients wait for a first frame.
      self.last = Some(Vec::new());
      return Some(frame(&output(Vec::new())));
    }
    tokio::select! {
      biased;
      () = self.shared.stopped() => None,
      state = wait(&self.states, self.keys.is_empty()) => match state {
        Ok(Some(state)) => Some(self.changed(state)),
        Ok(None) => None,
        Err(error) => {
          tracing::warn!(target: "kv_connect", %error, "a watch has failed");
          self.is_over = true;
          Some(frame(&WatchOutput {
            status: SnapshotReadStatus::ReadDisabled.into(),
            keys: Vec::new(),
          }))
        }
      },
      () = sleep_until(self.next_sign) => {
        // The token was taken away.
        let tokens = self.shared.tokens();
        if !tokens.of(self.token).is_some_and(|token| token.allows().read) {
          return None;
        }
        self.next_sign = Instant::now() + SIGN_OF_LIFE;
        Some(Bytes::from_static(KEEP_ALIVE))
      }
    }
  }

  /// The frame of a new state.
  fn changed(&mut self, state: Vec<Option<Held>>) -> Bytes {
    self.next_sign = Instant::now() + SIGN_OF_LIFE;
    let stamp = |held: &Option<Held>| held.as_ref().map(|held| held.versionstamp);
    let stamps: Vec<_> = state.iter().map(stamp).collect();
    let last = self.last.replace(stamps.clone());
    let is_same = |index| {
      last
        .as_ref()
        .is_some_and(|last| last.get(index) == stamps.get(index))
    };
    let keys = self.keys.iter().zip(&state).enumerate();
    let keys = keys.map(|(index, (key, held))| match is_same(index) {
      true => WatchKeyOutput::default(),
      false => WatchKeyOutput {
        changed: true,
        entry_if_changed: held.as_ref().map(|held| entry(key, held)),
      },
    });
    frame(&output(keys.collect()))
  }
}

async fn wait(
  states: &WatchStates,
  has_no_keys: bool,
) -> Result<Option<Vec<Option<Held>>>, StoreError> {
  match has_no_keys {
    true => futures::future::pending().await,
    false => states.next().await,
  }
}

fn output(keys: Vec<WatchKeyOutput>) -> WatchOutput {
  WatchOutput {
    status: SnapshotReadStatus::Success.into(),
    keys,
  }
}

fn entry(key: &[u8], held: &Held) -> KvEntry {
  let KvValue { data, encoding } = KvValue::from(&held.value);
  KvEntry {
    key: key.to_vec(),
    value: data,
    encoding,
    versionstamp: held.versionstamp.0.to_vec(),
  }
}
