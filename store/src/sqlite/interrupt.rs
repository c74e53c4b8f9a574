//! Interrupts reads that take too long, by SQLite's progress handler.
//!
//! A read that finds nothing may scan millions of expired rows, and in a damaged file it may never end.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Steps of SQLite's virtual machine between two calls of the handler: less than a millisecond.
const STEPS: i32 = 10_000;

/// Set to the time at which the caller gave a read up.
pub(crate) type Abandoned = Arc<OnceLock<Instant>>;

/// A read that ends within this time after that is answered.
const GRACE: Duration = Duration::from_secs(1);

thread_local! {
  static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
  static ABANDONED: RefCell<Option<Abandoned>> = const { RefCell::new(None) };
}

/// Makes the statements of a connection interruptible.
pub(crate) fn allow(connection: &Connection) -> rusqlite::Result<()> {
  connection.progress_handler(STEPS, Some(is_over))
}

fn is_over() -> bool {
  DEADLINE
    .get()
    .is_some_and(|deadline| Instant::now() > deadline)
    || ABANDONED.with_borrow(|abandoned| {
      let since = abandoned.as_ref().and_then(|abandoned| abandoned.get());
      since.is_some_and(|since| since.elapsed() > GRACE)
    })
}

/// Runs `work`; its statements are interrupted at the deadline.
pub(crate) fn until<T>(deadline: Instant, work: impl FnOnce() -> T) -> T {
  DEADLINE.set(Some(deadline));
  let done = work();
  DEADLINE.set(None);
  done
}

/// Runs `work`; its statements are interrupted a while after the caller has given the result up.
pub(crate) fn while_wanted<T>(abandoned: &Abandoned, work: impl FnOnce() -> T) -> T {
  ABANDONED.set(Some(abandoned.clone()));
  let done = work();
  ABANDONED.set(None);
  done
}

#[cfg(test)]
mod tests {
  use super::*;
  use crate::sqlite::error::is_interrupted;

  /// Never ends.
  const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

  fn run(connection: &Connection) -> rusqlite::Error {
    connection.query_row(ENDLESS, [], |_| Ok(())).unwrap_err()
  }

  #[test]
  fn statements_end_at_the_deadline_or_when_abandoned() {
    let connection = Connection::open_in_memory().unwrap();
    allow(&connection).unwrap();
    let deadline = Instant::now() + Duration::from_millis(20);
    assert!(is_interrupted(&until(deadline, || run(&connection))));
    assert!(Instant::now() >= deadline);

    let abandoned = Abandoned::default();
    let later = abandoned.clone();
    let thread = std::thread::spawn(move || {
      std::thread::sleep(Duration::from_millis(20));
      later.set(Instant::now()).unwrap();
    });
    assert!(is_interrupted(&while_wanted(&abandoned, || run(
      &connection
    ))));
    thread.join().unwrap();

    // Neither applies to what comes later.
    let one: i64 = connection
      .query_row("SELECT 1", [], |row| row.get(0))
      .unwrap();
    assert_eq!(one, 1);
    assert!(!is_over());
  }
}
