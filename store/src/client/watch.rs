use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream};

use super::{Entry, Store};
use crate::engine::{ReadRange, Watcher};
use crate::error::KvError;
use crate::versionstamp::Versionstamp;

type Entries = Vec<Option<Entry>>;

/// What the keys of a [`Store::watch`] are, as a `Stream`, which ends after an error.
pub struct Watch {
  store: Store,
  points: Vec<ReadRange>,
  watcher: Arc<Watcher>,
  /// The versionstamps of the entries that were handed out last.
  last: Option<Vec<Option<Versionstamp>>>,
  reading: Option<BoxFuture<'static, Result<Option<Entries>, KvError>>>,
  is_over: bool,
}

impl Watch {
  pub(super) fn new(store: Store, points: Vec<ReadRange>) -> Self {
    let keys = points.iter().map(|point| point.start.clone()).collect();
    Self {
      watcher: Arc::new(store.backend.watch(keys)),
      store,
      points,
      last: None,
      reading: None,
      is_over: false,
    }
  }

  /// Waits for a change, unless this is the first time, and reads. None: the database was closed.
  fn read(&self) -> BoxFuture<'static, Result<Option<Entries>, KvError>> {
    let (store, points, watcher) = (
      self.store.clone(),
      self.points.clone(),
      self.watcher.clone(),
    );
    let is_first = self.last.is_none();
    async move {
      if !is_first && !watcher.changed().await {
        return Ok(None);
      }
      store.read(points).await.map(Some)
    }
    .boxed()
  }
}

impl Stream for Watch {
  type Item = Result<Entries, KvError>;

  fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
    let watch = self.get_mut();
    // No keys never change.
    while !watch.is_over && !watch.points.is_empty() {
      let mut reading = match watch.reading.take() {
        Some(reading) => reading,
        None => watch.read(),
      };
      let Poll::Ready(entries) = reading.poll_unpin(context) else {
        watch.reading = Some(reading);
        return Poll::Pending;
      };
      let entries = match entries {
        Ok(Some(entries)) => entries,
        Ok(None) => break,
        Err(error) => {
          watch.is_over = true;
          return Poll::Ready(Some(Err(error)));
        }
      };
      let stamps: Vec<_> = entries
        .iter()
        .map(|entry| entry.as_ref().map(|entry| entry.versionstamp))
        .collect();
      if watch.last.as_ref() != Some(&stamps) {
        watch.last = Some(stamps);
        return Poll::Ready(Some(Ok(entries)));
      }
    }
    watch.is_over = true;
    Poll::Ready(None)
  }
}
