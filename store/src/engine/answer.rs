use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;
use tracing::Span;

use super::StoreError;
use super::traced::report;

/// What a store call returns: the result, when it is there already, or where it will come.
///
/// A point read that hits the page cache takes a few microseconds; waking another thread and
/// coming back takes ten times as long. So a caller looks for `Now` first.
#[must_use]
pub enum Answer<T> {
  /// The result is here.
  Now(Result<T, StoreError>),
  /// It is being worked on, or will be, also if nobody waits for it.
  Later(Pending<T>),
}

impl<T> Answer<T> {
  /// Ends the span when the answer is there, and reports an error in it.
  pub(super) fn traced(mut self, span: Span) -> Self {
    match &mut self {
      Self::Now(result) => report(&span, result),
      Self::Later(pending) => pending.span = span,
    }
    self
  }

  /// The result, as soon as it is there.
  ///
  /// # Errors
  /// The call's own, or [`StoreError::Stopped`] if the thread that worked on it has ended.
  pub async fn wait(self) -> Result<T, StoreError> {
    match self {
      Self::Now(result) => result,
      Self::Later(pending) => pending.wait().await,
    }
  }

  /// The same, holding up the calling thread. Must not be called inside an async task.
  ///
  /// # Errors
  /// As [`wait`](Self::wait).
  pub fn wait_blocking(self) -> Result<T, StoreError> {
    match self {
      Self::Now(result) => result,
      Self::Later(pending) => pending.wait_blocking(),
    }
  }
}

/// Work that whoever waits for it may do, in place of the thread that else would: that saves waking
/// the thread and being woken.
pub trait Leader: Send + Sync {
  /// Does what is waiting, if it takes no longer than a caller with an event loop can spare.
  fn lead(&self);

  /// Whether one thing waits, and as it was before: then it is not worth waiting for others to share the
  /// work with.
  fn is_lone(&self) -> bool {
    false
  }
}

/// A result that is not there yet. The work is done also if this is dropped.
pub struct Pending<T> {
  receiver: oneshot::Receiver<Result<T, StoreError>>,
  leader: Option<Arc<dyn Leader>>,
  span: Span,
}

impl<T> Pending<T> {
  /// Whether it is worth trying to have the result [at once](Self::try_now).
  pub fn is_lone(&self) -> bool {
    self.leader.as_ref().is_some_and(|leader| leader.is_lone())
  }

  /// The result, if the work for it is alone, and takes no longer than the caller can spare.
  pub fn try_now(mut self) -> Answer<T> {
    if let Some(leader) = &self.leader
      && leader.is_lone()
    {
      leader.lead();
    }
    match self.receiver.try_recv() {
      Ok(result) => {
        report(&self.span, &result);
        Answer::Now(result)
      }
      // Also if nobody is left to answer: waiting tells.
      Err(_) => Answer::Later(self),
    }
  }

  async fn wait(mut self) -> Result<T, StoreError> {
    if let Some(leader) = self.leader.take() {
      // Other tasks come first: what they ask for now shares the work.
      yield_once().await;
      leader.lead();
    }
    let result = self.receiver.await.unwrap_or(Err(StoreError::Stopped));
    report(&self.span, &result);
    result
  }

  fn wait_blocking(self) -> Result<T, StoreError> {
    if let Some(leader) = self.leader {
      leader.lead();
    }
    let result = self.receiver.blocking_recv();
    let result = result.unwrap_or(Err(StoreError::Stopped));
    report(&self.span, &result);
    result
  }
}

async fn yield_once() {
  let mut yielded = false;
  poll_fn(|context| {
    if yielded {
      return Poll::Ready(());
    }
    yielded = true;
    context.waker().wake_by_ref();
    Poll::Pending
  })
  .await;
}

/// Where the result of a call is put.
pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A pair of the place for a result, and the answer that waits for it; `leader` says what waiting
/// can do for it.
pub fn answer_channel<T>(leader: Option<Arc<dyn Leader>>) -> (Reply<T>, Answer<T>) {
  let (sender, receiver) = oneshot::channel();
  let pending = Pending {
    receiver,
    leader,
    span: Span::none(),
  };
  (sender, Answer::Later(pending))
}
