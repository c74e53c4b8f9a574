//! The answer of a call, and who works for it.
//!
//! A point read that hits the page cache takes a few microseconds; waking another thread and coming back takes ten
//! times as long. So an answer may be there at once, and an answer that is not there yet may be *led*: the caller that
//! waits for it does the work itself, in place of the thread that else would. The rule:
//!
//! 1. The engine queues the work. It is done in any case, also if the answer is dropped.
//! 2. [`Answer::wait`] lets other tasks of the event loop run once, so that what they ask for shares the work, and then
//!    leads. [`Answer::wait_blocking`] leads at once.
//! 3. [`Answer::try_lead`] is for an event loop that would wait for this one answer only: it leads if the work is
//!    *lone*, that is, nothing else waits and nothing else did the last time.
//! 4. A leader does no more than a caller with an event loop can spare. The rest is done by the engine's thread.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tracing::Span;

use super::StoreError;
use super::traced::report;

/// What a call of an engine returns: the result, when it is there already, or the promise of it.
#[must_use]
pub struct Answer<T> {
  state: State<T>,
  span: Span,
}

enum State<T> {
  Ready(Result<T, StoreError>),
  /// The engine works on it, or will; the caller may lead.
  Queued {
    receiver: oneshot::Receiver<Result<T, StoreError>>,
    leader: Option<Arc<dyn Leader>>,
  },
  /// It is there when the future is.
  Future(BoxFuture<'static, Result<T, StoreError>>),
}

/// Does the work that waits in an engine, on the thread of a caller that waits for it.
pub(crate) trait Leader: Send + Sync {
  /// Does what waits, if it takes no longer than a caller with an event loop can spare.
  fn lead(&self);

  /// Whether one piece of work waits, as it was the last time: then it is not worth waiting for others to share it.
  fn is_lone(&self) -> bool {
    false
  }
}

/// Where the result of a queued call is put.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

impl<T> Answer<T> {
  /// The result is here.
  pub fn ready(result: Result<T, StoreError>) -> Self {
    Self::new(State::Ready(result))
  }

  /// The result comes from a future. It is polled only while somebody waits for the answer.
  pub fn from_future(future: impl Future<Output = Result<T, StoreError>> + Send + 'static) -> Self {
    Self::new(State::Future(future.boxed()))
  }

  /// The result comes by way of the [`Reply`]. `leader` is what a caller that waits can do for it.
  pub(crate) fn queued(leader: Option<Arc<dyn Leader>>) -> (Reply<T>, Self) {
    let (sender, receiver) = oneshot::channel();
    (sender, Self::new(State::Queued { receiver, leader }))
  }

  fn new(state: State<T>) -> Self {
    Self {
      state,
      span: Span::none(),
    }
  }

  /// Ends the span when the answer is there, and reports an error in it.
  pub(super) fn traced(mut self, span: Span) -> Self {
    match &self.state {
      State::Ready(result) => report(&span, result),
      State::Queued { .. } | State::Future(_) => self.span = span,
    }
    self
  }

  /// The result, if it is there already.
  ///
  /// # Errors
  /// The answer itself, to be waited for.
  pub fn try_ready(self) -> Result<Result<T, StoreError>, Self> {
    match self.state {
      State::Ready(result) => Ok(result),
      _ => Err(self),
    }
  }

  /// The result, if it is there, or the caller's work for it is lone and takes no longer than an event loop can spare.
  ///
  /// # Errors
  /// The answer itself, to be waited for.
  pub fn try_lead(mut self) -> Result<Result<T, StoreError>, Self> {
    let State::Queued { receiver, leader } = &mut self.state else {
      return self.try_ready();
    };
    if let Some(leader) = leader
      && leader.is_lone()
    {
      leader.lead();
    }
    match receiver.try_recv() {
      Ok(result) => {
        report(&self.span, &result);
        Ok(result)
      }
      Err(TryRecvError::Empty) => Err(self),
      // The thread that worked on it has ended.
      Err(TryRecvError::Closed) => Ok(Err(StoreError::closed())),
    }
  }

  /// The result, as soon as it is there.
  ///
  /// # Errors
  /// The call's own, or one of kind [`Closed`](super::ErrorKind::Closed) if the thread that worked on it has ended.
  pub async fn wait(self) -> Result<T, StoreError> {
    let result = match self.state {
      State::Ready(result) => return result,
      State::Queued { receiver, leader } => {
        if let Some(leader) = leader {
          // Other tasks come first: what they ask for now shares the work.
          yield_once().await;
          leader.lead();
        }
        receiver.await.unwrap_or_else(|_| Err(StoreError::closed()))
      }
      State::Future(future) => future.await,
    };
    report(&self.span, &result);
    result
  }

  /// The same, but no longer than until `end` is there: then `None`, unless the result has come in that moment. What was
  /// asked for is done in any case; a [`receive`](super::Listener::receive) that is given up takes no message.
  pub async fn wait_until(self, end: impl Future<Output = ()>) -> Option<Result<T, StoreError>> {
    let end = pin!(end);
    let result = match self.state {
      State::Ready(result) => return Some(result),
      State::Queued {
        mut receiver,
        leader,
      } => {
        if let Some(leader) = leader {
          yield_once().await;
          leader.lead();
        }
        match select(&mut receiver, end).await {
          Either::Left((result, _)) => result.unwrap_or_else(|_| Err(StoreError::closed())),
          Either::Right(_) => {
            // From here on, sending fails; what was sent before counts.
            receiver.close();
            receiver.try_recv().ok()?
          }
        }
      }
      State::Future(future) => match select(future, end).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => return None,
      },
    };
    report(&self.span, &result);
    Some(result)
  }

  /// The same as [`wait`](Self::wait), holding up the calling thread. Must not be called inside an async task.
  ///
  /// # Errors
  /// As [`wait`](Self::wait).
  pub fn wait_blocking(self) -> Result<T, StoreError> {
    let result = match self.state {
      State::Ready(result) => return result,
      State::Queued { receiver, leader } => {
        if let Some(leader) = leader {
          leader.lead();
        }
        let result = receiver.blocking_recv();
        result.unwrap_or_else(|_| Err(StoreError::closed()))
      }
      State::Future(future) => futures::executor::block_on(future),
    };
    report(&self.span, &result);
    result
  }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &self.state {
      State::Ready(result) => f.debug_tuple("Ready").field(result).finish(),
      State::Queued { .. } => f.write_str("Queued"),
      State::Future(_) => f.write_str("Future"),
    }
  }
}

impl<T> From<StoreError> for Answer<T> {
  fn from(error: StoreError) -> Self {
    Self::ready(Err(error))
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
