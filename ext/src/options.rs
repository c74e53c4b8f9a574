use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deno_core::futures::future::BoxFuture;
use deno_core::url::Url;
use deno_error::JsErrorBox;
#[cfg(feature = "remote-transport")]
use kv_connect::client::ClientOptions;
use kv_store::engine::{Backend, Clock, Durability, StoreError, SystemClock};
use kv_store::sqlite::SqliteOptions;
use kv_store::{Limits, Location, Store};
use sha2::{Digest, Sha256};

/// Decides whether a database may be opened, and where it is.
pub(crate) type OpenHook = Arc<dyn Fn(&Location) -> Result<Location, JsErrorBox> + Send + Sync>;

/// Opens a database by its URL, on an engine of the embedder's.
pub(crate) type Opener =
  Arc<dyn Fn(Url) -> BoxFuture<'static, Result<Arc<dyn Backend>, StoreError>> + Send + Sync>;

/// What an embedder decides for its runtime: where databases without a path live, which may be opened,
/// what calls may be as large as, how durable a write is, and what time it is.
///
/// ```
/// use kv_ext::{Durability, KvOptions};
///
/// let options = KvOptions::default()
///   .storage("data", "file:///app/main.js")
///   .durability(Durability::Full)
///   .queue_concurrency(10);
/// let extension = kv_ext::init(options);
/// ```
///
/// Every call of the store is a span of [`tracing`](https://docs.rs/tracing), with target `kv_store` and
/// level debug: `kv.get`, `kv.read`, `kv.commit`, `kv.watch`, `kv.receive`, `kv.ack`, `kv.nack`, `kv.close`. It lasts from
/// the call to its answer. An error is an event of level warn inside it.
#[derive(Clone)]
#[must_use]
pub struct KvOptions {
  pub(crate) default_path: Option<PathBuf>,
  pub(crate) default_label: Option<String>,
  pub(crate) default_name: Option<String>,
  pub(crate) name_prefix: String,
  pub(crate) default_store: Option<Store>,
  pub(crate) open_hook: Option<OpenHook>,
  /// By scheme, in lower case.
  pub(crate) openers: HashMap<String, Opener>,
  #[cfg(feature = "remote-transport")]
  pub(crate) remote: ClientOptions,
  pub(crate) limits: Limits,
  pub(crate) clock: Arc<dyn Clock>,
  pub(crate) durability: Durability,
  pub(crate) cache_size: u64,
  pub(crate) mmap_size: u64,
  pub(crate) queue_concurrency: u32,
}

impl fmt::Debug for KvOptions {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("KvOptions")
      .field("default_path", &self.default_path)
      .field("default_name", &self.default_name)
      .field("name_prefix", &self.name_prefix)
      .field("openers", &self.openers.keys())
      .field("limits", &self.limits)
      .field("durability", &self.durability)
      .field("queue_concurrency", &self.queue_concurrency)
      .finish_non_exhaustive()
  }
}

impl Default for KvOptions {
  fn default() -> Self {
    Self {
      default_path: None,
      default_label: None,
      default_name: None,
      name_prefix: String::new(),
      default_store: None,
      open_hook: None,
      openers: HashMap::new(),
      #[cfg(feature = "remote-transport")]
      remote: ClientOptions::default(),
      limits: Limits::default(),
      clock: Arc::new(SystemClock),
      durability: Durability::default(),
      cache_size: SqliteOptions::default().cache_size,
      mmap_size: 0,
      queue_concurrency: 100,
    }
  }
}

impl KvOptions {
  /// The database file that `Deno.openKv()` without a path opens. Its folder is made if it is
  /// missing. Without this, such a call rejects with a `TypeError`.
  pub fn default_path(mut self, path: impl Into<PathBuf>) -> Self {
    self.default_path = Some(path.into());
    self
  }

  /// What `Deno.openKv()` without a name opens, as if the script had given this name: `:memory:`, for one. It goes
  /// before [`default_path`](Self::default_path). Deno takes it from `DENO_KV_DEFAULT_PATH`, and so does `kv`.
  pub fn default_name(mut self, name: impl Into<String>) -> Self {
    self.default_name = Some(name.into());
    self
  }

  /// What is put before every name that a script gives, and before the [`default_name`](Self::default_name). Deno
  /// takes it from `DENO_KV_PATH_PREFIX`, and so does `kv`.
  pub fn name_prefix(mut self, prefix: impl Into<String>) -> Self {
    self.name_prefix = prefix.into();
    self
  }

  /// A database for each script, as Deno has it: `Deno.openKv()` without a path opens
  /// `<folder>/<SHA-256 of identity, in hex>/kv.sqlite3`, and [`default_label`](Self::default_label) is
  /// the identity. What makes a script the same script is the embedder's to say; Deno and `kv` take the
  /// URL of its main module.
  pub fn storage(self, folder: impl AsRef<Path>, identity: &str) -> Self {
    let mut name = String::with_capacity(64);
    for byte in Sha256::digest(identity) {
      name.push_str(&format!("{byte:02x}"));
    }
    let path = folder.as_ref().join(name).join("kv.sqlite3");
    self.default_path(path).default_label(identity)
  }

  /// The file that [`default_path`](Self::default_path) or [`storage`](Self::storage) has chosen.
  #[must_use]
  pub fn default_file(&self) -> Option<&Path> {
    self.default_path.as_deref()
  }

  /// The database that `Deno.openKv()` without a path opens: one that is open already, also in memory,
  /// which all runtimes with this store share with each other and with Rust. It is not asked of the
  /// hook; closing a script's handle leaves it open.
  pub fn default_store(mut self, store: Store) -> Self {
    self.default_store = Some(store);
    self
  }

  /// Is asked before any database is opened, whichever way a script has named it, the default one
  /// included. It may allow it (`Ok` of what it was given), put another in its place, or refuse with an
  /// error, which the script gets.
  ///
  /// ```
  /// use kv_ext::{JsErrorBox, KvOptions, Location};
  ///
  /// let options = KvOptions::default().open_hook(|location| match location {
  ///   Location::File(path) if !path.starts_with("/srv/data") => Err(JsErrorBox::new(
  ///     "NotCapable",
  ///     format!("no access to {}", path.display()),
  ///   )),
  ///   allowed => Ok(allowed.clone()),
  /// });
  /// ```
  ///
  /// It is called on the runtime's thread; it can't call into JavaScript.
  pub fn open_hook(
    mut self,
    hook: impl Fn(&Location) -> Result<Location, JsErrorBox> + Send + Sync + 'static,
  ) -> Self {
    self.open_hook = Some(Arc::new(hook));
    self
  }

  /// Opens databases whose name is a URL of this scheme, on another engine: `Deno.openKv("https://…")`, for one. The
  /// [`open_hook`](Self::open_hook) is asked first, with [`Location::Url`].
  ///
  /// ```
  /// use std::sync::Arc;
  ///
  /// use kv_ext::{KvOptions, Store};
  /// use kv_ext::store::{ErrorKind, StoreError};
  ///
  /// // Names like "shared://users" are databases in memory here, one for each runtime.
  /// let options = KvOptions::default().opener("shared", |url| async move {
  ///   let failed = |error: kv_ext::KvError| StoreError::new(ErrorKind::CannotOpen, error.to_string());
  ///   println!("opening {url}");
  ///   Ok(Store::in_memory().map_err(failed)?.backend().clone())
  /// });
  /// ```
  pub fn opener<F>(
    mut self,
    scheme: &str,
    opener: impl Fn(Url) -> F + Send + Sync + 'static,
  ) -> Self
  where
    F: Future<Output = Result<Arc<dyn Backend>, StoreError>> + Send + 'static,
  {
    let opener: Opener = Arc::new(move |url| Box::pin(opener(url)));
    self.openers.insert(scheme.to_ascii_lowercase(), opener);
    self
  }

  /// How remote databases, `Deno.openKv("https://…")`, are opened: with which tokens, over which transport, and which
  /// URLs may be reached. The [`open_hook`](Self::open_hook) is asked first, with [`Location::Url`].
  ///
  /// ```
  /// use kv_ext::{ClientOptions, KvOptions};
  ///
  /// let remote = ClientOptions::default().token_for(|url| match url.host_str() {
  ///   Some("db.example.com") => Some("the token of db.example.com".into()),
  ///   _ => None,
  /// });
  /// let options = KvOptions::default().remote(remote);
  /// ```
  #[cfg(feature = "remote-transport")]
  pub fn remote(mut self, options: ClientOptions) -> Self {
    self.remote = options;
    self
  }

  /// Whose the default database is: the text goes into a file `script.txt` beside it, when the
  /// folder is made, for people who find it.
  pub fn default_label(mut self, label: impl Into<String>) -> Self {
    self.default_label = Some(label.into());
    self
  }

  /// Other limits than Deno's.
  pub fn limits(mut self, limits: Limits) -> Self {
    self.limits = limits;
    self
  }

  /// The clock that expiry is measured with. Default: [`SystemClock`].
  pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
    self.clock = clock;
    self
  }

  /// What a write has survived when its promise resolves. Default: [`Durability::Full`].
  ///
  /// Where runtimes of one process have a file open with different levels, each has its own.
  pub fn durability(mut self, durability: Durability) -> Self {
    self.durability = durability;
    self
  }

  /// How many bytes of a file each connection caches, at most. Default: 16 MiB. There is a connection for each
  /// thread that reads at the same time, and one that writes; the cache grows as pages are read.
  ///
  /// The process's first to open a file decides.
  pub fn cache_size(mut self, bytes: u64) -> Self {
    self.cache_size = bytes;
    self
  }

  /// How many bytes of a file SQLite may map into memory, its
  /// [`PRAGMA mmap_size`](https://www.sqlite.org/pragma.html#pragma_mmap_size). Default: 0, no map; SQLite maps
  /// no more than 2 GB. Reads from all over a file that is much larger than the
  /// [cache](Self::cache_size) take less time with a map.
  ///
  /// **With a map, a disk error, or another process that cuts the file short, ends this process by the signal
  /// SIGBUS**; without one, a read is answered with an error. What has been read also counts as resident memory
  /// of the process. The process's first to open a file decides.
  pub fn mmap_size(mut self, bytes: u64) -> Self {
    self.mmap_size = bytes;
    self
  }

  /// How many messages one call of `listenQueue` has handlers at work on, at least one. Default: 100.
  pub fn queue_concurrency(mut self, handlers: u32) -> Self {
    self.queue_concurrency = handlers.max(1);
    self
  }

  pub(crate) fn sqlite(&self) -> SqliteOptions {
    let mut options = SqliteOptions::default();
    options.clock = self.clock.clone();
    options.durability = self.durability;
    options.cache_size = self.cache_size;
    options.mmap_size = self.mmap_size;
    options
  }
}
