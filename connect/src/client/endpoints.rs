use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::metadata::Lease;
use crate::protocol::EndpointConsistency;

/// An endpoint that has failed counts as one that takes so long.
const FAILED: Duration = Duration::from_secs(10);
/// Of so many eventual reads one goes to another endpoint, which may have become the nearest.
const LOOK: usize = 16;

/// Chooses between the endpoints of a database.
#[derive(Default)]
pub(super) struct Endpoints(Mutex<State>);

#[derive(Default)]
struct State {
  /// How long the last calls to each endpoint took.
  latencies: HashMap<String, Duration>,
  /// Eventual reads.
  count: usize,
}

impl Endpoints {
  fn state(&self) -> MutexGuard<'_, State> {
    self.0.lock().unwrap_or_else(PoisonError::into_inner)
  }

  /// The endpoint for an attempt. An eventual read goes to the nearest one; after a failure the others take turns.
  pub(super) fn choose(&self, lease: &Lease, is_eventual: bool, turn: usize) -> String {
    let endpoints = lease.metadata.endpoints.iter();
    let mut fitting: Vec<&String> = endpoints
      .filter(|endpoint| is_eventual || endpoint.consistency == EndpointConsistency::Strong)
      .map(|endpoint| &endpoint.url)
      .collect();
    let mut index = turn;
    if is_eventual && fitting.len() > 1 {
      let mut state = self.state();
      // One that was not asked yet comes first.
      fitting.sort_by_key(|url| state.latencies.get(*url).copied());
      if turn == 0 {
        state.count += 1;
        if state.count.is_multiple_of(LOOK) {
          index = state.count / LOOK;
        }
      }
    }
    // There is one that is strong: the metadata were checked.
    let index = index % fitting.len().max(1);
    fitting
      .get(index)
      .map_or_else(String::new, |url| (*url).clone())
  }

  /// A call to an endpoint took so long.
  pub(super) fn note(&self, endpoint: &str, took: Duration) {
    let mut state = self.state();
    match state.latencies.get_mut(endpoint) {
      // What was slow or broken is believed to be well at once.
      Some(known) => *known = (*known * 3 + took).min(took * 16) / 4,
      None => {
        state.latencies.insert(endpoint.to_owned(), took);
      }
    }
  }

  /// A call to an endpoint has failed.
  pub(super) fn note_failure(&self, endpoint: &str) {
    let mut state = self.state();
    state.latencies.insert(endpoint.to_owned(), FAILED);
  }
}
