//! `kv test`

mod discover;
mod filter;
mod report;
mod run_file;
mod watchdog;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cli::TestArgs;
use filter::Filter;
use report::Reporter;

/// What a file's tests are run under.
struct Options {
  filter: Filter,
  /// A test that takes longer has failed.
  timeout: Option<Duration>,
  /// Stop after this many failures.
  fail_fast: Option<usize>,
}

/// Runs tests; returns the exit code.
pub async fn test(args: TestArgs) -> Result<i32> {
  let files = discover::test_files(&args.files)?;
  if files.is_empty() {
    bail!("No test modules found");
  }
  let options = Options {
    filter: Filter::new(args.filter.as_deref())?,
    timeout: (args.timeout > 0).then(|| Duration::from_secs(args.timeout)),
    fail_fast: args.fail_fast,
  };
  let started = Instant::now();
  let reporter = Rc::new(RefCell::new(Reporter::new(&std::env::current_dir()?)));
  for file in files {
    run_file::run(&file, &options, &reporter).await?;
    if options
      .fail_fast
      .is_some_and(|limit| reporter.borrow().failures() >= limit)
    {
      break;
    }
  }
  let mut reporter = reporter.borrow_mut();
  reporter.summary(started.elapsed());
  if reporter.failures() > 0 {
    bail!("Test failed");
  }
  if reporter.used_only() {
    bail!("Test failed because the \"only\" option was used");
  }
  Ok(0)
}
