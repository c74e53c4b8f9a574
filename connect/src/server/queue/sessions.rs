use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::future::join_all;
use kv_store::engine::Backend;

use super::session::{Heard, Session};
use crate::server::respond::{Refusal, stopping};
use crate::server::tokens::TokenId;

/// How long messages are left to their clients when the server stops.
const LEFT: Duration = Duration::from_secs(20);
/// Sessions of a token at a time.
const MOST: usize = 1_000;
/// How often sessions are looked for that were not heard of.
const LOOK: Duration = Duration::from_secs(1);

type ById = HashMap<(TokenId, [u8; 16]), Arc<Session>>;

/// The sessions of clients that listen to a database's queue.
pub(in crate::server) struct Sessions {
  backend: Arc<dyn Backend>,
  by_id: Arc<Mutex<ById>>,
  is_closed: AtomicBool,
  /// Silent sessions are looked for.
  is_looked_after: AtomicBool,
}

impl Sessions {
  pub(in crate::server) fn new(backend: Arc<dyn Backend>) -> Self {
    Self {
      backend,
      by_id: Arc::default(),
      is_closed: AtomicBool::new(false),
      is_looked_after: AtomicBool::new(false),
    }
  }

  /// An exchange of the session of this id, which begins if there is none.
  pub(super) fn hear(&self, owner: TokenId, id: [u8; 16], lease_ms: u32) -> Result<Heard, Refusal> {
    let mut by_id = locked(&self.by_id);
    if self.is_closed.load(Ordering::Acquire) {
      return Err(stopping());
    }
    if let Some(session) = by_id.get(&(owner, id)) {
      return Ok(session.hear(lease_ms));
    }
    let count = by_id.keys().filter(|(other, _)| *other == owner).count();
    if count >= MOST {
      return Err(Refusal::unavailable(
        "too many sessions of this token listen to the queue",
      ));
    }
    let session = Arc::new(Session::new(self.backend.listen()?));
    let heard = session.hear(lease_ms);
    by_id.insert((owner, id), session);
    drop(by_id);
    if !self.is_looked_after.swap(true, Ordering::AcqRel) {
      tokio::spawn(end_silent(Arc::downgrade(&self.by_id)));
    }
    Ok(heard)
  }

  /// Ends a session: its messages go to others, and a poll that waits ends.
  pub(super) fn remove(&self, owner: TokenId, id: [u8; 16]) {
    let session = locked(&self.by_id).remove(&(owner, id));
    if let Some(session) = session {
      session.close();
    }
  }

  /// Whether nobody listens.
  pub(in crate::server) fn is_empty(&self) -> bool {
    locked(&self.by_id).is_empty()
  }

  /// Ends all sessions, and leaves their messages to them for a while.
  pub(in crate::server) async fn leave(&self) {
    let sessions: Vec<_> = {
      let mut by_id = locked(&self.by_id);
      self.is_closed.store(true, Ordering::Release);
      by_id.drain().map(|(_, session)| session).collect()
    };
    join_all(sessions.iter().map(|session| session.leave(LEFT))).await;
  }
}

/// Ends sessions that were not heard of for as long as their leases, while the database is open.
async fn end_silent(by_id: Weak<Mutex<ById>>) {
  loop {
    tokio::time::sleep(LOOK).await;
    let Some(by_id) = by_id.upgrade() else {
      return;
    };
    let silent: Vec<_> = locked(&by_id)
      .extract_if(|_, session| session.is_silent())
      .collect();
    // Their messages go to others, outside the lock.
    drop(silent);
  }
}

fn locked(by_id: &Mutex<ById>) -> MutexGuard<'_, ById> {
  by_id.lock().unwrap_or_else(PoisonError::into_inner)
}
