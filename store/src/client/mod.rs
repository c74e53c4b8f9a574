//! The store from Rust, without JavaScript: typed keys and values around a [`Backend`].

mod atomic;
mod builder;
mod entry;
mod list;
mod queue;
mod select;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use atomic::Atomic;
pub use builder::Builder;
pub use entry::Entry;
pub use list::{List, ListOptions};
pub use queue::{Deliveries, Delivery, MessageOptions};
pub use watch::Watch;

use crate::engine::{
  Backend, Clock, CommitOutcome, Consistency, NoQueue, ReadOptions, ReadRange, Stats, SystemClock,
  Traced,
};
use crate::error::KvError;
use crate::key::Key;
use crate::limits::Limits;
use crate::selector::Selector;
use crate::session::WatchStates;
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
  read_options: ReadOptions,
}

impl fmt::Debug for Store {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Store")
      .field("limits", &self.limits)
      .finish_non_exhaustive()
  }
}

impl Store {
  /// Opens a database file, or creates it, with default options.
  ///
  /// It holds up the calling thread: for about a millisecond, or up to ten seconds while another
  /// process has the file locked. [`builder`](Self::builder) has options, and opens without holding the thread up.
  ///
  /// # Errors
  /// [`KvError::Open`]: the folder does not exist, the path leads through a symbolic link, or the
  /// file is no database, one of a newer format, or locked.
  pub fn open(path: impl AsRef<Path>) -> Result<Self, KvError> {
    Self::builder(path).open_blocking()
  }

  /// Options for opening a database file.
  ///
  /// ```
  /// use kv_store::{Durability, Store};
  ///
  /// # #[tokio::main(flavor = "current_thread")]
  /// # async fn main() -> Result<(), kv_store::KvError> {
  /// # let folder = tempfile::TempDir::new().unwrap();
  /// # let file = folder.path().join("kv.sqlite3");
  /// let store = Store::builder(file)
  ///   .durability(Durability::Relaxed)
  ///   .cache_size(64 << 20)
  ///   .open()
  ///   .await?;
  /// # Ok(())
  /// # }
  /// ```
  pub fn builder(path: impl AsRef<Path>) -> Builder {
    Builder::new(path.as_ref())
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

  /// A store on an engine of any kind, or one that was opened with [`sqlite`](crate::sqlite).
  pub fn on(backend: Arc<dyn Backend>) -> Self {
    Self::new(backend, Arc::new(SystemClock))
  }

  fn new(backend: Arc<dyn Backend>, clock: Arc<dyn Clock>) -> Self {
    Self {
      limits: Limits::default().and(&backend.capabilities().limits),
      backend: Traced::new(backend),
      clock,
      read_options: ReadOptions::default(),
    }
  }

  /// The same database with other limits than Deno's, for calls through the store returned. The engine's own limits
  /// hold in any case.
  #[must_use]
  pub fn with_limits(mut self, limits: Limits) -> Self {
    self.limits = limits.and(&self.backend.capabilities().limits);
    self
  }

  /// The same database, read with this consistency through the store returned.
  #[must_use]
  pub fn with_consistency(mut self, consistency: Consistency) -> Self {
    self.read_options = self.read_options.consistency(consistency);
    self
  }

  /// The engine beneath, to share it with others: what is committed through one is seen by all.
  pub fn backend(&self) -> &Arc<dyn Backend> {
    &self.backend
  }

  /// What the engine has done since the database was opened in this process.
  ///
  /// ```
  /// # fn main() -> Result<(), kv_store::KvError> {
  /// # let folder = tempfile::TempDir::new().unwrap();
  /// # let file = folder.path().join("kv.sqlite3");
  /// let stats = kv_store::Store::open(file)?.stats();
  /// println!("{} commits, the slowest took {:?}", stats.commits, stats.slowest_commit);
  /// # Ok(())
  /// # }
  /// ```
  pub fn stats(&self) -> Stats {
    self.backend.stats()
  }

  /// Closes the database for all clones of this store, whose later calls fail. Returns when everything that was asked
  /// for is committed; if nobody else in the process has the file open, it is closed then, and its log is moved into
  /// it. Dropping the last clone does the same, on the thread that drops it.
  ///
  /// # Errors
  /// The file can't be written.
  pub async fn close(&self) -> Result<(), KvError> {
    Ok(self.backend.close().wait().await?)
  }

  /// The entry of a key, or `None`: it is not set, or has expired.
  ///
  /// # Errors
  /// The key is too large to read, or the file can't be read.
  pub async fn get(&self, key: impl Into<Key>) -> Result<Option<Entry>, KvError> {
    let key = self.read_key(&key.into())?;
    if let Some(held) = self.backend.get_at_once(&key, self.read_options) {
      return held?.map(|held| Entry::of(&key, held)).transpose();
    }
    let mut found = self.read(vec![ReadRange::point(key)]).await?;
    Ok(found.pop().flatten())
  }

  /// The entries of some keys, in order, all from one snapshot.
  ///
  /// # Errors
  /// As [`get`](Self::get), or there are more keys than [`Limits::read_ranges`].
  pub async fn get_many(
    &self,
    keys: impl IntoIterator<Item = Key>,
  ) -> Result<Vec<Option<Entry>>, KvError> {
    let keys = self.read_keys(keys)?;
    if keys.len() > self.limits.read_ranges {
      return Err(KvError::TooManyRanges(self.limits.read_ranges));
    }
    self
      .read(keys.into_iter().map(ReadRange::point).collect())
      .await
  }

  fn read_keys(&self, keys: impl IntoIterator<Item = Key>) -> Result<Vec<Vec<u8>>, KvError> {
    keys.into_iter().map(|key| self.read_key(&key)).collect()
  }

  /// Reads ranges of one key each.
  async fn read(&self, points: Vec<ReadRange>) -> Result<Vec<Option<Entry>>, KvError> {
    let ranges = self
      .backend
      .snapshot_read(points, self.read_options)
      .wait()
      .await?;
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
    self.commit_unchecked(self.atomic().enqueue(message)).await
  }

  /// The same with options.
  ///
  /// # Errors
  /// As [`enqueue`](Self::enqueue), or an option is not allowed.
  pub async fn enqueue_with(
    &self,
    message: impl Into<Value>,
    options: MessageOptions,
  ) -> Result<Versionstamp, KvError> {
    let enqueue = self.atomic().enqueue_with(message, options);
    self.commit_unchecked(enqueue).await
  }

  async fn commit_unchecked(&self, atomic: Atomic) -> Result<Versionstamp, KvError> {
    match atomic.outcome().await? {
      CommitOutcome::Committed(versionstamp) => Ok(versionstamp),
      CommitOutcome::CheckFailed(_) => Err(KvError::InvalidCheck),
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
  /// let mut changes = store.watch([key!["status"]])?;
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
  pub fn watch(&self, keys: impl IntoIterator<Item = Key>) -> Result<Watch, KvError> {
    let keys = self.read_keys(keys)?;
    if keys.len() > self.limits.watch_keys {
      return Err(KvError::TooManyKeys(self.limits.watch_keys));
    }
    let states = WatchStates::new(self.backend.clone(), keys.clone(), false)?;
    Ok(Watch::new(states, keys))
  }

  /// Listens to the queue: a `Stream` of messages, each given to one of all who listen, in all
  /// processes. `most` are handed over at a time; those it has handed over and that are neither
  /// [acked](Delivery::ack) nor [nacked](Delivery::nack) count.
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
  /// delivery.ack().await?;
  /// # Ok(())
  /// # }
  /// ```
  pub fn listen(&self, most: usize) -> Deliveries {
    let listener = self.backend.listen();
    let listener = listener.unwrap_or_else(|error| Arc::new(NoQueue(error)));
    Deliveries::new(listener, most)
  }
}
