//! Ends reads that take too long: SQLite asks as it works, and stops where it is told to.
//!
//! A read that finds nothing may look at millions of rows that have expired, and in a damaged file it may never
//! come to an end.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// Steps of SQLite's virtual machine between two questions: less than a millisecond.
const STEPS: i32 = 10_000;

/// When it was that nobody wanted the result of a read any more.
pub(super) type Abandoned = Arc<OnceLock<Instant>>;

/// Reads that take no longer after that are answered.
const GRACE: Duration = Duration::from_secs(1);

thread_local! {
  static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
  static ABANDONED: RefCell<Option<Abandoned>> = const { RefCell::new(None) };
}

/// Lets the statements of a connection be stopped.
pub(super) fn watch(connection: &Connection) -> rusqlite::Result<()> {
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

/// Runs `work` on this thread; statements that are at work at the deadline are interrupted.
pub(super) fn until<T>(deadline: Instant, work: impl FnOnce() -> T) -> T {
  DEADLINE.set(Some(deadline));
  let done = work();
  DEADLINE.set(None);
  done
}

/// The same for statements that are at work when nobody has wanted their result for a while.
pub(super) fn while_wanted<T>(abandoned: &Abandoned, work: impl FnOnce() -> T) -> T {
  ABANDONED.set(Some(abandoned.clone()));
  let done = work();
  ABANDONED.set(None);
  done
}

/// Whether it was stopped.
pub(super) fn is_interrupted(error: &rusqlite::Error) -> bool {
  error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

#[cfg(test)]
mod tests {
  use super::*;

  /// Never ends.
  const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

  fn run(connection: &Connection) -> rusqlite::Error {
    connection.query_row(ENDLESS, [], |_| Ok(())).unwrap_err()
  }

  #[test]
  fn a_statement_ends_at_the_deadline_or_when_it_is_told_to() {
    let connection = Connection::open_in_memory().unwrap();
    watch(&connection).unwrap();
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
