//! The databases that are served.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::future::{BoxFuture, join_all};
use http::StatusCode;
use kv_store::engine::{Backend, StoreError};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::names::check_name;
use super::queue::Sessions;
use super::respond::Refusal;

/// Opens the database of a name. The second argument says whether it may be created. `None`: there is none.
pub type Opener = Arc<
  dyn Fn(String, bool) -> BoxFuture<'static, Result<Option<Arc<dyn Backend>>, StoreError>>
    + Send
    + Sync,
>;

/// Names that are open at a time.
const MOST: usize = 1_000;

pub(super) struct Databases {
  kind: Kind,
  is_read_only: bool,
}

/// Empty until the database is open, and where it can't be opened: then it is forgotten.
type Slot = Arc<OnceCell<Arc<Database>>>;
type Slots = HashMap<String, Slot>;

enum Kind {
  One {
    backend: Arc<dyn Backend>,
    database: OnceCell<Arc<Database>>,
  },
  ByName {
    opener: Opener,
    open: Mutex<Slots>,
  },
}

impl fmt::Debug for Databases {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Databases")
      .field("have_names", &self.have_names())
      .field("is_read_only", &self.is_read_only)
      .finish()
  }
}

/// A database that is open.
pub(super) struct Database {
  /// `None`: the server has one only.
  pub(super) name: Option<String>,
  pub(super) id: Uuid,
  /// Nothing is written by it, so that no read waits for a write of another client.
  pub(super) reads: Arc<dyn Backend>,
  pub(super) writes: Arc<dyn Backend>,
  pub(super) sessions: Sessions,
  /// When it was asked for last.
  used: Mutex<Instant>,
}

impl Database {
  async fn open(
    name: Option<String>,
    backend: Arc<dyn Backend>,
    is_read_only: bool,
  ) -> Result<Arc<Self>, StoreError> {
    let id = match backend.database_id(!is_read_only).wait().await? {
      Some(id) => Uuid::from_bytes(id),
      None => Uuid::new_v4(),
    };
    let reads = backend.reader().unwrap_or_else(|| backend.clone());
    Ok(Arc::new(Self {
      name,
      id,
      reads,
      sessions: Sessions::new(backend.clone()),
      writes: backend,
      used: Mutex::new(Instant::now()),
    }))
  }

  /// The path of its metadata exchange.
  pub(super) fn path(&self) -> String {
    format!("/{}", self.name.as_deref().unwrap_or_default())
  }
}

impl Databases {
  pub(super) fn one(backend: Arc<dyn Backend>) -> Self {
    Self {
      kind: Kind::One {
        backend,
        database: OnceCell::new(),
      },
      is_read_only: false,
    }
  }

  pub(super) fn by_name(opener: Opener) -> Self {
    Self {
      kind: Kind::ByName {
        opener,
        open: Mutex::default(),
      },
      is_read_only: false,
    }
  }

  /// The same, of which nothing is written.
  pub(super) fn read_only(mut self, is_read_only: bool) -> Self {
    self.is_read_only = is_read_only;
    self
  }

  /// Opens the one database, if it is one.
  pub(super) async fn prepare(&self) -> Result<(), StoreError> {
    if let Kind::One { backend, database } = &self.kind {
      let open = || Database::open(None, backend.clone(), self.is_read_only);
      database.get_or_try_init(open).await?;
    }
    Ok(())
  }

  /// Whether paths begin with the name of a database.
  pub(super) fn have_names(&self) -> bool {
    matches!(self.kind, Kind::ByName { .. })
  }

  /// The database of this name, which is opened if it is not open, and created if it may be.
  pub(super) async fn get(
    &self,
    name: Option<&str>,
    may_create: bool,
  ) -> Result<Arc<Database>, Refusal> {
    match (&self.kind, name) {
      (Kind::One { backend, database }, None) => {
        let open = || Database::open(None, backend.clone(), self.is_read_only);
        Ok(database.get_or_try_init(open).await?.clone())
      }
      (Kind::ByName { opener, open }, Some(name)) => {
        check_name(name).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let slot = slot_of(&mut locked(open), name)?;
        let opened = slot.get_or_try_init(|| async {
          let failed = |error| cannot_open(name, &error);
          let backend = opener(name.to_owned(), may_create).await.map_err(failed)?;
          let backend = backend.ok_or_else(|| not_found(name))?;
          tracing::info!(target: "kv_connect", database = name, "opened a database");
          let database = Database::open(Some(name.to_owned()), backend, self.is_read_only);
          database.await.map_err(failed)
        });
        let database = match opened.await {
          Ok(database) => database.clone(),
          Err(refusal) => {
            forget(&mut locked(open), name);
            return Err(refusal);
          }
        };
        *locked(&database.used) = Instant::now();
        Ok(database)
      }
      _ => Err(Refusal::not_found()),
    }
  }

  /// A database was deleted or replaced: the next request opens it anew.
  pub(super) fn note_replaced(&self, database: &Database) {
    if let (Kind::ByName { open, .. }, Some(name)) = (&self.kind, &database.name) {
      locked(open).remove(name);
    }
  }

  /// All that are open.
  pub(super) fn open(&self) -> Vec<Arc<Database>> {
    match &self.kind {
      Kind::One { database, .. } => database.get().cloned().into_iter().collect(),
      Kind::ByName { open, .. } => {
        let open = locked(open);
        let open = open.values().filter_map(|slot| slot.get());
        open.cloned().collect()
      }
    }
  }

  /// Leaves the messages that clients are at work on to them, and closes the databases.
  pub(super) async fn close(&self) -> Result<(), StoreError> {
    let open = self.open();
    join_all(open.iter().map(|database| database.sessions.leave())).await;
    let mut result = Ok(());
    for database in open {
      for handle in [&database.reads, &database.writes] {
        result = result.and(handle.close().wait().await);
      }
    }
    if let Kind::One { backend, .. } = &self.kind {
      result = result.and(backend.close().wait().await);
    }
    result
  }
}

/// The slot of a name. If all are taken, the database goes that has been idle for longest.
fn slot_of(open: &mut Slots, name: &str) -> Result<Slot, Refusal> {
  if open.len() >= MOST && !open.contains_key(name) {
    let idle = open.iter().filter_map(|(name, slot)| {
      let database = slot.get()?;
      // Nothing but the slot has it.
      let is_idle = Arc::strong_count(database) == 1 && database.sessions.is_empty();
      is_idle.then(|| (*locked(&database.used), name.clone()))
    });
    let Some((_, idle)) = idle.min() else {
      return Err(Refusal::unavailable(format!(
        "{MOST} databases are in use, which is the most"
      )));
    };
    open.remove(&idle);
  }
  Ok(open.entry(name.to_owned()).or_default().clone())
}

/// Forgets a name whose database could not be opened.
fn forget(open: &mut Slots, name: &str) {
  if open.get(name).is_some_and(|slot| !slot.initialized()) {
    open.remove(name);
  }
}

/// Clients don't learn where the file is.
fn cannot_open(name: &str, error: &StoreError) -> Refusal {
  tracing::error!(target: "kv_connect", database = name, %error, "a database can't be opened");
  Refusal::new(
    StatusCode::CONFLICT,
    format!("the database {name} can't be opened: the server's log says why"),
  )
}

fn not_found(name: &str) -> Refusal {
  Refusal::new(
    StatusCode::NOT_FOUND,
    format!("there is no database {name}, and this token may not create one"),
  )
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
  mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
