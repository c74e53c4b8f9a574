//! The databases that are served.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use http::StatusCode;
use kv_store::engine::{Backend, StoreError};
use tokio::sync::OnceCell;
use uuid::Uuid;

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
/// Characters of a name.
const LONGEST: usize = 64;

/// A name that no database can have.
#[derive(Debug, thiserror::Error)]
#[error(
  "invalid database name: a name has up to {LONGEST} letters, digits, '-', '_' and '.', and does not begin with '.'"
)]
pub struct InvalidName;

pub(super) enum Databases {
  One {
    backend: Arc<dyn Backend>,
    database: OnceCell<Arc<Database>>,
  },
  ByName {
    opener: Opener,
    open: Mutex<HashMap<String, Arc<OnceCell<Arc<Database>>>>>,
  },
}

impl fmt::Debug for Databases {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(match self {
      Self::One { .. } => "One",
      Self::ByName { .. } => "ByName",
    })
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
}

impl Database {
  async fn open(
    name: Option<String>,
    backend: Arc<dyn Backend>,
    is_read_only: bool,
  ) -> Result<Arc<Self>, StoreError> {
    let id = match backend.database_id(!is_read_only).wait().await? {
      Some(id) => Uuid::from_bytes(id),
      // It was never served to be written.
      None => Uuid::new_v4(),
    };
    let reads = backend.another().unwrap_or_else(|| backend.clone());
    Ok(Arc::new(Self {
      name,
      id,
      reads,
      sessions: Sessions::new(backend.clone()),
      writes: backend,
    }))
  }

  /// The path of its metadata exchange.
  pub(super) fn path(&self) -> String {
    format!("/{}", self.name.as_deref().unwrap_or_default())
  }
}

/// Refuses what is not a plain file name.
fn check_name(name: &str) -> Result<(), InvalidName> {
  let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
  let is_name = !name.is_empty()
    && name.len() <= LONGEST
    && !name.starts_with('.')
    && name.bytes().all(is_allowed);
  is_name.then_some(()).ok_or(InvalidName)
}

impl Databases {
  pub(super) fn one(backend: Arc<dyn Backend>) -> Self {
    Self::One {
      backend,
      database: OnceCell::new(),
    }
  }

  pub(super) fn by_name(opener: Opener) -> Self {
    Self::ByName {
      opener,
      open: Mutex::default(),
    }
  }

  /// Opens the one database, if it is one.
  pub(super) async fn prepare(&self, is_read_only: bool) -> Result<(), StoreError> {
    if let Self::One { backend, database } = self {
      let open = || Database::open(None, backend.clone(), is_read_only);
      database.get_or_try_init(open).await?;
    }
    Ok(())
  }

  /// Whether paths begin with the name of a database.
  pub(super) fn have_names(&self) -> bool {
    matches!(self, Self::ByName { .. })
  }

  /// The database of this name, which is opened if it is not open, and created if it may be.
  pub(super) async fn get(
    &self,
    name: Option<&str>,
    may_create: bool,
    is_read_only: bool,
  ) -> Result<Arc<Database>, Refusal> {
    match (self, name) {
      (Self::One { backend, database }, None) => {
        let open = || Database::open(None, backend.clone(), is_read_only);
        Ok(database.get_or_try_init(open).await?.clone())
      }
      (Self::ByName { opener, open }, Some(name)) => {
        check_name(name).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let slot = {
          let mut open = locked(open);
          if open.len() >= MOST && !open.contains_key(name) {
            open.retain(|_, slot| slot.initialized() || Arc::strong_count(slot) > 1);
            if open.len() >= MOST {
              return Err(Refusal::unavailable(format!(
                "{MOST} databases are open, which is the most"
              )));
            }
          }
          open.entry(name.to_owned()).or_default().clone()
        };
        let database = slot
          .get_or_try_init(|| async {
            let Some(backend) = opener(name.to_owned(), may_create).await? else {
              return Err(not_found(name));
            };
            Ok(Database::open(Some(name.to_owned()), backend, is_read_only).await?)
          })
          .await?;
        Ok(database.clone())
      }
      _ => Err(Refusal::new(StatusCode::NOT_FOUND, "Resource not found.")),
    }
  }

  /// All that are open.
  pub(super) fn open(&self) -> Vec<Arc<Database>> {
    match self {
      Self::One { database, .. } => database.get().cloned().into_iter().collect(),
      Self::ByName { open, .. } => {
        let open = locked(open);
        open
          .values()
          .filter_map(|slot| slot.get().cloned())
          .collect()
      }
    }
  }

  /// Leaves the messages that clients are at work on to them, and closes the databases.
  pub(super) async fn close(&self) -> Result<(), StoreError> {
    let mut result = Ok(());
    for database in self.open() {
      database.sessions.leave().await;
      for handle in [&database.reads, &database.writes] {
        result = result.and(handle.close().wait().await);
      }
    }
    if let Self::One { backend, .. } = self {
      result = result.and(backend.close().wait().await);
    }
    result
  }
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

#[cfg(test)]
mod tests {
  use super::check_name;

  #[test]
  fn names_are_file_names() {
    for name in ["a", "orders-2026_b.c", &"x".repeat(64)] {
      assert!(check_name(name).is_ok(), "{name}");
    }
    for name in [
      "",
      ".",
      "..",
      ".a",
      "a/b",
      "a\\b",
      "a%2fb",
      "é",
      "a b",
      &"x".repeat(65),
    ] {
      assert!(check_name(name).is_err(), "{name}");
    }
  }
}
