use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kv_store::engine::Backend;

use super::session::Session;
use super::{Refusal, stopping};
use crate::server::tokens::TokenId;

/// How long messages are left to their clients when the server stops.
const LEFT: Duration = Duration::from_secs(20);
/// Sessions at a time.
const MOST: usize = 10_000;
/// How often sessions are looked for that were not heard of.
const LOOK: Duration = Duration::from_secs(1);

type ById = HashMap<(TokenId, [u8; 16]), Arc<Session>>;

/// The sessions of clients that listen to a database's queue.
pub(in crate::server) struct Sessions {
  backend: Arc<dyn Backend>,
  by_id: Arc<Mutex<ById>>,
  is_closed: AtomicBool,
}

impl Sessions {
  pub(in crate::server) fn new(backend: Arc<dyn Backend>) -> Self {
    Self {
      backend,
      by_id: Arc::default(),
      is_closed: AtomicBool::new(false),
    }
  }

  /// The session of this id, which begins if there is none.
  pub(super) fn get(&self, owner: TokenId, id: [u8; 16]) -> Result<Arc<Session>, Refusal> {
    let mut by_id = locked(&self.by_id);
    if self.is_closed.load(Ordering::Acquire) {
      return Err(stopping());
    }
    if let Some(session) = by_id.get(&(owner, id)) {
      return Ok(session.clone());
    }
    if by_id.len() >= MOST {
      return Err(Refusal::unavailable(
        "too many sessions listen to the queue",
      ));
    }
    let session = Arc::new(Session::new(self.backend.listen()?));
    if by_id.is_empty() {
      tokio::spawn(end_silent(Arc::downgrade(&self.by_id)));
    }
    by_id.insert((owner, id), session.clone());
    Ok(session)
  }

  /// Ends a session: its messages go to others.
  pub(super) fn remove(&self, owner: TokenId, id: [u8; 16]) {
    let session = locked(&self.by_id).remove(&(owner, id));
    drop(session);
  }

  /// Ends all sessions, and leaves their messages to them for a while.
  pub(in crate::server) async fn leave(&self) {
    let sessions: Vec<_> = {
      let mut by_id = locked(&self.by_id);
      self.is_closed.store(true, Ordering::Release);
      by_id.drain().map(|(_, session)| session).collect()
    };
    for session in sessions {
      session.leave(LEFT).await;
    }
  }
}

/// Ends sessions that were not heard of for as long as their leases, until there is none.
async fn end_silent(by_id: Weak<Mutex<ById>>) {
  loop {
    tokio::time::sleep(LOOK).await;
    let Some(by_id) = by_id.upgrade() else {
      return;
    };
    let (ended, is_empty) = {
      let mut by_id = locked(&by_id);
      let ended: Vec<_> = by_id.extract_if(|_, session| session.is_silent()).collect();
      (ended, by_id.is_empty())
    };
    // The messages go to others, outside the lock.
    drop(ended);
    if is_empty {
      return;
    }
  }
}

fn locked(by_id: &Mutex<ById>) -> MutexGuard<'_, ById> {
  by_id.lock().unwrap_or_else(PoisonError::into_inner)
}
