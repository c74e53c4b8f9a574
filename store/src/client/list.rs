use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream};

use super::{Entry, Store};
use crate::engine::{Entries, StoreError};
use crate::error::KvError;
use crate::selector::Selector;

/// Entries in a batch, where nobody says otherwise.
const BATCH: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// How [`Store::list`] reads: forward, all of it, in batches of 100 entries, unless it is told
/// otherwise.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ListOptions {
  limit: Option<usize>,
  cursor: Option<String>,
  reverse: bool,
  batch: Option<NonZeroU32>,
}

impl ListOptions {
  /// Ends after so many entries.
  pub fn limit(mut self, entries: usize) -> Self {
    self.limit = Some(entries);
    self
  }

  /// Goes on where another list has stopped: what [`List::cursor`] has returned, or a script's list,
  /// for the same selector.
  pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
    self.cursor = Some(cursor.into());
    self
  }

  /// From the last key to the first.
  pub fn reverse(mut self) -> Self {
    self.reverse = true;
    self
  }

  /// Reads so many entries at a time, at most [`Limits::read_entries`](crate::Limits::read_entries).
  /// A batch is one snapshot.
  pub fn batch_size(mut self, entries: NonZeroU32) -> Self {
    self.batch = Some(entries);
    self
  }
}

impl ListOptions {
  fn batch(&self) -> NonZeroU32 {
    self.batch.unwrap_or(BATCH)
  }
}

type Batch = Result<Vec<Entries>, StoreError>;

/// The entries of a [`Store::list`], as a `Stream`. After an error it ends.
pub struct List {
  store: Store,
  selector: Selector,
  options: ListOptions,
  /// What was read last, and how much of it is handed out.
  batch: Entries,
  position: usize,
  reading: Option<BoxFuture<'static, Batch>>,
  /// The last batch was not full: there is no more.
  is_read: bool,
  /// The last key handed out, encoded.
  last: Option<Vec<u8>>,
  left: usize,
}

impl List {
  pub(super) fn new(store: Store, selector: Selector, options: ListOptions) -> Self {
    Self {
      left: options.limit.unwrap_or(usize::MAX),
      store,
      selector,
      options,
      batch: Entries::default(),
      position: 0,
      reading: None,
      is_read: false,
      last: None,
    }
  }

  /// Where the list stands: with it, another list of the same selector goes on after the last entry
  /// that was handed out. Empty before the first.
  ///
  /// # Errors
  /// The key lies outside the selector: it never does.
  pub fn cursor(&self) -> Result<String, KvError> {
    match &self.last {
      Some(key) => Ok(self.selector.cursor(key)?),
      None => Ok(self.options.cursor.clone().unwrap_or_default()),
    }
  }

  /// Begins to read the next batch.
  fn read(&self) -> Result<BoxFuture<'static, Batch>, KvError> {
    let limits = &self.store.limits;
    // Whatever is left to read: a batch that is too large is an error.
    limits.check_page(self.options.batch())?;
    let cursor = match &self.last {
      Some(key) => Some(self.selector.cursor(key)?),
      // An empty one, of a list that has not begun or has ended, is none.
      None => self
        .options
        .cursor
        .clone()
        .filter(|cursor| !cursor.is_empty()),
    };
    let reverse = self.options.reverse;
    let range = self
      .selector
      .page(cursor.as_deref(), self.batch_entries(), reverse, limits)?;
    let answer = self
      .store
      .backend
      .snapshot_read(vec![range], self.store.read_options);
    Ok(answer.wait().boxed())
  }

  fn batch_entries(&self) -> NonZeroU32 {
    let left = u32::try_from(self.left).unwrap_or(u32::MAX);
    let left = NonZeroU32::new(left).unwrap_or(NonZeroU32::MIN);
    left.min(self.options.batch())
  }

  fn end(&mut self) {
    self.is_read = true;
    self.left = 0;
    self.batch = Entries::default();
    self.reading = None;
  }
}

impl Stream for List {
  type Item = Result<Entry, KvError>;

  fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
    let list = self.get_mut();
    loop {
      if list.left == 0 {
        return Poll::Ready(None);
      }
      if let Some(entry) = list.batch.get(list.position) {
        list.left -= 1;
        list.position += 1;
        list.last = Some(entry.key.to_vec());
        return Poll::Ready(Some(Entry::decode(entry)));
      }
      if let Some(reading) = &mut list.reading {
        let result = ready!(reading.poll_unpin(context));
        list.reading = None;
        match result {
          Ok(ranges) => {
            // One was asked for.
            list.batch = ranges.into_iter().next().unwrap_or_default();
            list.position = 0;
            list.is_read = list.batch.len() < list.batch_entries().get() as usize;
          }
          Err(error) => {
            list.end();
            return Poll::Ready(Some(Err(error.into())));
          }
        }
      } else if list.is_read {
        list.end();
      } else {
        match list.read() {
          Ok(reading) => list.reading = Some(reading),
          Err(error) => {
            list.end();
            return Poll::Ready(Some(Err(error)));
          }
        }
      }
    }
  }
}

impl fmt::Debug for List {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("List")
      .field("selector", &self.selector)
      .field("options", &self.options)
      .finish_non_exhaustive()
  }
}
