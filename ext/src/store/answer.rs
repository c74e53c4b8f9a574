use tokio::sync::oneshot;

use super::StoreError;

/// What a store call returns: the result, when it is there already, or where it will come.
///
/// A point read that hits the page cache takes a few microseconds; waking another thread and
/// coming back takes ten times as long. So a caller looks for `Now` first.
#[must_use]
pub enum Answer<T> {
  /// The result is here.
  Now(Result<T, StoreError>),
  /// A thread is at work on it.
  Later(oneshot::Receiver<Result<T, StoreError>>),
}

impl<T> Answer<T> {
  /// The result, as soon as it is there.
  ///
  /// # Errors
  /// The call's own, or [`StoreError::Stopped`] if the thread that worked on it has ended.
  pub async fn wait(self) -> Result<T, StoreError> {
    match self {
      Self::Now(result) => result,
      Self::Later(receiver) => receiver.await.unwrap_or(Err(StoreError::Stopped)),
    }
  }

  /// The same, holding up the calling thread. Must not be called inside an async task.
  ///
  /// # Errors
  /// As [`wait`](Self::wait).
  pub fn wait_blocking(self) -> Result<T, StoreError> {
    match self {
      Self::Now(result) => result,
      Self::Later(receiver) => receiver.blocking_recv().unwrap_or(Err(StoreError::Stopped)),
    }
  }
}

/// Where a thread puts the result of a call.
pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A pair of the place for a result, and the answer that waits for it.
pub fn answer_channel<T>() -> (Reply<T>, Answer<T>) {
  let (sender, receiver) = oneshot::channel();
  (sender, Answer::Later(receiver))
}
