use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream};

use super::Entry;
use crate::engine::{Held, StoreError};
use crate::error::KvError;
use crate::session::WatchStates;

type State = Result<Option<Vec<Option<Held>>>, StoreError>;

/// What the keys of a [`Store::watch`](super::Store::watch) hold, as a `Stream`, which ends after an error.
pub struct Watch {
  states: Arc<WatchStates>,
  keys: Vec<Vec<u8>>,
  next: Option<BoxFuture<'static, State>>,
  is_over: bool,
}

impl Watch {
  pub(super) fn new(states: WatchStates, keys: Vec<Vec<u8>>) -> Self {
    Self {
      states: Arc::new(states),
      keys,
      next: None,
      is_over: false,
    }
  }

  fn decode(&self, state: Vec<Option<Held>>) -> Result<Vec<Option<Entry>>, KvError> {
    let entries = self.keys.iter().zip(state);
    entries
      .map(|(key, held)| held.map(|held| Entry::of(key, held)).transpose())
      .collect()
  }
}

impl Stream for Watch {
  type Item = Result<Vec<Option<Entry>>, KvError>;

  fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
    let watch = self.get_mut();
    if watch.is_over {
      return Poll::Ready(None);
    }
    let next = watch.next.get_or_insert_with(|| {
      let states = watch.states.clone();
      async move { states.next().await }.boxed()
    });
    let state = ready!(next.poll_unpin(context));
    watch.next = None;
    let item = match state {
      Ok(Some(state)) => Some(watch.decode(state)),
      Ok(None) => None,
      Err(error) => Some(Err(error.into())),
    };
    watch.is_over = !matches!(item, Some(Ok(_)));
    Poll::Ready(item)
  }
}

impl fmt::Debug for Watch {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Watch")
      .field("keys", &self.keys.len())
      .finish_non_exhaustive()
  }
}
