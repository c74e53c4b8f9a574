//! The store from Rust, without JavaScript: typed keys and values around a [`Backend`].

mod atomic;
mod entry;
mod list;
mod queue;
mod select;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use atomic::Atomic;
pub use entry::Entry;
pub use list::{List, ListOptions};
pub use queue::{Deliveries, Delivery, MessageOptions};
pub use watch::Watch;

use crate::engine::{Backend, Clock, CommitOutcome, ReadRange, SystemClock, Traced};
use crate::error::KvError;
use crate::key::Key;
use crate::limits::Limits;
use crate::selector::Selector;
use crate::sqlite::{self, SqliteOptions};
use crate::value::Value;
use crate::versionstamp::Versionstamp;

/// An open database, from Rust: the same that scripts open with `Deno.openKv`, with the same calls.
///
/// It is cheap to clone, and clones may be used from any thread; the database is closed when the last
/// of them, and everything made from it, is dropped. In a process all who open the same file share
/// what is behind it: a commit made here wakes a script's `watch`, and one fsync serves both.
///
/// ```
/// use kv_store::{Store, Value, key};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), kv_store::KvError> {
/// let store = Store::in_memory()?;
/// store.set(key!["users", "ada"], "Ada Lovelace").await?;
///
/// let entry = store.get(key!["users", "ada"]).await?;
/// let renamed = store
///   .atomic()
///   .check(key!["users", "ada"], entry.map(|entry| entry.versionstamp))
///   .set(key!["users", "ada"], "Ada King")
///   .sum(key!["renamed"], 1)
///   .commit()
///   .await?;
/// assert!(renamed.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Store {
  backend: Arc<dyn Backend>,
  limits: Limits,
  clock: Arc<dyn Clock>,
}

impl Store {
  /// Opens a database file, or creates it.
  ///
  /// It holds up the calling thread: for about a millisecond, or up to ten seconds while another
  /// process has the file locked.
  ///
  /// # Errors
  /// [`KvError::Open`]: the folder does not exist, the path leads through a symbolic link, or the
  /// file is no database, one of a newer format, or locked.
  pub fn open(path: impl AsRef<Path>) -> Result<Self, KvError> {
    Self::open_with(path, &SqliteOptions::default())
  }

  /// The same with options. Where the file is open in this process already, its clock and its timeout
  /// stay those of whoever opened it first.
  ///
  /// # Errors
  /// As [`open`](Self::open).
  pub fn open_with(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, KvError> {
    let backend = sqlite::open_file(path.as_ref(), options).map_err(KvError::Open)?;
    Ok(Self::new(backend, options.clock.clone()))
  }

  /// An empty database in memory, which clones of the store share, and nobody else.
  ///
  /// # Errors
  /// [`KvError::Open`]: there is no memory left for it.
  pub fn in_memory() -> Result<Self, KvError> {
    let options = SqliteOptions::default();
    let backend = sqlite::open_memory(&options).map_err(KvError::Open)?;
    Ok(Self::new(backend, options.clock))
  }

  /// A store on a backend of another kind, or one that was opened with [`sqlite`](crate::sqlite).
  pub fn on(backend: Arc<dyn Backend>) -> Self {
    Self::new(backend, Arc::new(SystemClock))
  }

  fn new(backend: Arc<dyn Backend>, clock: Arc<dyn Clock>) -> Self {
    Self {
      backend: Traced::new(backend),
      limits: Limits::default(),
      clock,
    }
  }

  /// The same database with other limits than Deno's, for calls through the store returned.
  #[must_use]
  pub fn with_limits(mut self, limits: Limits) -> Self {
    self.limits = limits;
    self
  }

  /// The engine beneath, to share it with others: what is committed through one is seen by all.
  pub fn backend(&self) -> &Arc<dyn Backend> {
    &self.backend
  }

  /// The entry of a key, or `None`: it is not set, or has expired.
  ///
  /// # Errors
  /// The key is too large to read, or the file can't be read.
  pub async fn get(&self, key: impl Into<Key>) -> Result<Option<Entry>, KvError> {
    let key = self.read_key(&key.into())?;
    if let Some(held) = self.backend.get_at_once(&key) {
      return held?.map(|held| Entry::of(&key, held)).transpose();
    }
    let mut found = self.read(vec![ReadRange::point(key)]).await?;
    Ok(found.pop().flatten())
  }

  /// The entries of some keys, in order, all from one snapshot.
  ///
  /// # Errors
  /// As [`get`](Self::get), or there are more keys than [`Limits::read_ranges`].
  pub async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, KvError> {
    if keys.len() > self.limits.read_ranges {
      return Err(KvError::TooManyRanges(self.limits.read_ranges));
    }
    self.read(self.points(keys)?).await
  }

  /// The ranges of single keys.
  fn points(&self, keys: &[Key]) -> Result<Vec<ReadRange>, KvError> {
    keys
      .iter()
      .map(|key| self.read_key(key).map(ReadRange::point))
      .collect()
  }

  /// Reads ranges of one key each.
  async fn read(&self, points: Vec<ReadRange>) -> Result<Vec<Option<Entry>>, KvError> {
    let ranges = self.backend.snapshot_read(points).wait().await?;
    ranges
      .iter()
      .map(|range| range.first().map(Entry::decode).transpose())
      .collect()
  }

  fn read_key(&self, key: &Key) -> Result<Vec<u8>, KvError> {
    let key = key.encode()?;
    // A range's end counts as a key, and is one byte longer.
    self.limits.check_read_length(key.len() + 1)?;
    Ok(key)
  }

  /// The entries that a selector selects, in the order of their keys, as a `Stream`.
  ///
  /// ```
  /// use futures::TryStreamExt;
  /// use kv_store::{ListOptions, Selector, Store, key};
  ///
  /// # #[tokio::main(flavor = "current_thread")]
  /// # async fn main() -> Result<(), kv_store::KvError> {
  /// let store = Store::in_memory()?;
  /// for name in ["ada", "grace", "mary"] {
  ///   store.set(key!["users", name], true).await?;
  /// }
  /// let users = Selector::prefix(&key!["users"])?;
  /// let last: Vec<_> = store
  ///   .list(users, ListOptions::default().reverse().limit(2))
  ///   .map_ok(|entry| entry.key.to_string())
  ///   .try_collect()
  ///   .await?;
  /// assert_eq!(last, [r#"["users", "mary"]"#, r#"["users", "grace"]"#]);
  /// # Ok(())
  /// # }
  /// ```
  ///
  /// Each batch is read from a snapshot of its own.
  pub fn list(&self, selector: Selector, options: ListOptions) -> List {
    List::new(self.clone(), selector, options)
  }

  /// Stores a value, and returns the versionstamp of the commit. It is durable when this returns, in
  /// the sense of the [`Durability`](crate::Durability) that the store was opened with.
  ///
  /// # Errors
  /// The key is empty or too large, the value is too large, or the file can't be written; then
  /// nothing is stored.
  pub async fn set(
    &self,
    key: impl Into<Key>,
    value: impl Into<Value>,
  ) -> Result<Versionstamp, KvError> {
    self.commit_unchecked(self.atomic().set(key, value)).await
  }

  /// The same for a value that is gone after so long, in whole milliseconds.
  ///
  /// # Errors
  /// As [`set`](Self::set).
  pub async fn set_expiring(
    &self,
    key: impl Into<Key>,
    value: impl Into<Value>,
    expire_in: Duration,
  ) -> Result<Versionstamp, KvError> {
    let set = self.atomic().set_expiring(key, value, expire_in);
    self.commit_unchecked(set).await
  }

  /// Removes a key, if it is set.
  ///
  /// # Errors
  /// As [`set`](Self::set).
  pub async fn delete(&self, key: impl Into<Key>) -> Result<(), KvError> {
    self.commit_unchecked(self.atomic().delete(key)).await?;
    Ok(())
  }

  /// Puts a message into the queue, with default options: it may be delivered at once.
  ///
  /// # Errors
  /// The message is too large, or the file can't be written.
  pub async fn enqueue(&self, message: impl Into<Value>) -> Result<Versionstamp, KvError> {
    let enqueue = self.atomic().enqueue(message, MessageOptions::default());
    self.commit_unchecked(enqueue).await
  }

  async fn commit_unchecked(&self, atomic: Atomic) -> Result<Versionstamp, KvError> {
    match atomic.outcome().await? {
      CommitOutcome::Committed(versionstamp) => Ok(versionstamp),
      CommitOutcome::CheckFailed => Err(KvError::InvalidCheck),
    }
  }

  /// An atomic operation: checks and changes that happen together, or not at all.
  pub fn atomic(&self) -> Atomic {
    Atomic::new(self.clone())
  }

  /// What some keys are, as a `Stream`: at once, and whenever one of them has changed, whoever has
  /// changed it, in this process or another. A reader that is slow gets the latest state.
  ///
  /// ```
  /// use futures::StreamExt;
  /// use kv_store::{Store, key};
  ///
  /// # #[tokio::main(flavor = "current_thread")]
  /// # async fn main() -> Result<(), kv_store::KvError> {
  /// let store = Store::in_memory()?;
  /// let mut changes = store.watch(vec![key!["status"]])?;
  /// assert!(changes.next().await.unwrap()?[0].is_none());
  ///
  /// store.set(key!["status"], "ready").await?;
  /// let entries = changes.next().await.unwrap()?;
  /// assert_eq!(entries[0].as_ref().unwrap().value.deserialize::<String>()?, "ready");
  /// # Ok(())
  /// # }
  /// ```
  ///
  /// # Errors
  /// There are more keys than [`Limits::watch_keys`], or one is too large to read.
  pub fn watch(&self, keys: Vec<Key>) -> Result<Watch, KvError> {
    if keys.len() > self.limits.watch_keys {
      return Err(KvError::TooManyKeys(self.limits.watch_keys));
    }
    Ok(Watch::new(self.clone(), self.points(&keys)?))
  }

  /// Listens to the queue: a `Stream` of messages, each given to one of all who listen, in all
  /// processes. `most` are handed over at a time; those it has handed over and that are neither
  /// [finished](Delivery::finish) nor [failed](Delivery::fail) count.
  ///
  /// ```
  /// use futures::StreamExt;
  /// use kv_store::Store;
  ///
  /// # #[tokio::main(flavor = "current_thread")]
  /// # async fn main() -> Result<(), kv_store::KvError> {
  /// let store = Store::in_memory()?;
  /// store.enqueue("hello").await?;
  ///
  /// let mut deliveries = store.listen(1);
  /// let delivery = deliveries.next().await.unwrap()?;
  /// assert_eq!(delivery.value.deserialize::<String>()?, "hello");
  /// delivery.finish().await?;
  /// # Ok(())
  /// # }
  /// ```
  pub fn listen(&self, most: usize) -> Deliveries {
    Deliveries::new(self.backend.listen(), most)
  }
}
