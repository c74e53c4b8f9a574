//! Runs the tests of one file, in a runtime of its own.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use deno_core::PollEventLoopOptions;
use deno_core::error::{CoreError, CoreErrorKind, JsError};
use deno_core::futures::FutureExt;
use kv_bootstrap::{OutputGate, TestEvents, TestSink};

use super::Options;
use super::report::{Outcome, Reporter};
use super::watchdog::Watchdog;
use crate::paths;
use crate::worker::{CallArgument, Worker};

/// How much longer than a test's timeout the watchdog waits. The timer should fire first, since it leaves the runtime
/// usable.
const GRACE: Duration = Duration::from_secs(2);

/// A call of `Deno.test`.
#[derive(Clone)]
struct Registered {
  name: String,
  ignore: bool,
  only: bool,
  place: (u32, u32),
}

/// Passes events from the JS side on.
struct Sink {
  registered: Vec<Registered>,
  reporter: Rc<RefCell<Reporter>>,
}

impl TestEvents for Sink {
  fn registered(&mut self, name: String, ignore: bool, only: bool, place: (u32, u32)) {
    self.registered.push(Registered {
      name,
      ignore,
      only,
      place,
    });
  }

  fn step(&mut self, depth: u32, name: String, place: (u32, u32)) {
    self
      .reporter
      .borrow_mut()
      .step_begins(depth as usize, &name, place);
  }

  fn step_done(&mut self, depth: u32, name: String, status: String, error: Option<Box<JsError>>) {
    let outcome = match (status.as_str(), error) {
      ("ignored", _) => Outcome::Ignored,
      (_, Some(error)) => Outcome::failed(&error),
      (_, None) => Outcome::Ok,
    };
    self
      .reporter
      .borrow_mut()
      .step_ends(depth as usize, &name, outcome);
  }
}

struct Gate(Rc<RefCell<Reporter>>);

impl OutputGate for Gate {
  fn before_output(&self) {
    self.0.borrow_mut().output_begins();
  }
}

/// Runs the file's tests and reports them.
///
/// # Errors
/// The runtime can't be created. Failures in the file are reported, and are not errors here.
pub async fn run(file: &Path, options: &Options, reporter: &Rc<RefCell<Reporter>>) -> Result<()> {
  let url = paths::module_url(file)?;
  let mut worker = Worker::new(url.clone(), Vec::new(), |kv| kv)?;
  let sink = Rc::new(RefCell::new(Sink {
    registered: Vec::new(),
    reporter: reporter.clone(),
  }));
  {
    let op_state = worker.runtime.op_state();
    let mut op_state = op_state.borrow_mut();
    op_state.put::<TestSink>(sink.clone());
    op_state.put::<Rc<dyn OutputGate>>(Rc::new(Gate(reporter.clone())));
  }
  reporter.borrow_mut().file_begins(&url);
  let watchdog = Watchdog::new(worker.runtime.v8_isolate().thread_safe_handle());
  let mut file_run = FileRun {
    worker,
    watchdog,
    options,
    reporter,
  };
  if let Err(error) = file_run.evaluate().await {
    reporter.borrow_mut().uncaught(&error);
    return Ok(());
  }
  let registered = sink.borrow().registered.clone();
  file_run.run_all(&registered).await;
  Ok(())
}

/// A file being run.
struct FileRun<'a> {
  worker: Worker,
  watchdog: Watchdog,
  options: &'a Options,
  reporter: &'a Rc<RefCell<Reporter>>,
}

/// How a call to the JS side ended.
enum CallEnd {
  Returned,
  Threw(Box<JsError>),
  /// The event loop has nothing left to do, and the promise is pending.
  Stalled,
  TimedOut,
  /// Other code in the file threw during the call.
  Uncaught(CoreError),
}

impl FileRun<'_> {
  fn watchdog_time(&self) -> Option<Duration> {
    self.options.timeout.map(|timeout| timeout + GRACE)
  }

  /// Loads the file, which runs its top level and so its calls of `Deno.test`.
  async fn evaluate(&mut self) -> Result<(), CoreError> {
    self.watchdog.arm(self.watchdog_time());
    let evaluation = self.worker.evaluate_main_module();
    let result = match self.options.timeout {
      Some(timeout) => tokio::time::timeout(timeout, evaluation)
        .await
        .unwrap_or_else(|_| {
          let message = format!("the module did not finish loading within {timeout:?}");
          Err(CoreErrorKind::JsBox(deno_error::JsErrorBox::generic(message)).into_box())
        }),
      None => evaluation.await,
    };
    self.watchdog.arm(None);
    result
  }

  async fn run_all(&mut self, registered: &[Registered]) {
    let only = registered.iter().any(|test| test.only);
    let selected: Vec<_> = (0..)
      .zip(registered)
      .filter(|(_, test)| test.only || !only)
      .filter(|(_, test)| self.options.filter.includes(&test.name))
      .collect();
    self
      .reporter
      .borrow_mut()
      .plan(selected.len(), registered.len() - selected.len(), only);
    if selected.iter().all(|(_, test)| test.ignore) {
      for (_, test) in selected {
        self.ignore(test);
      }
      return;
    }
    let hooks = self.call("runHooks", CallArgument::Text("beforeAll")).await;
    let mut dead = self.report_hooks("beforeAll", hooks);
    for (index, test) in selected {
      let limit = self.options.fail_fast;
      if dead || limit.is_some_and(|limit| self.reporter.borrow().failures() >= limit) {
        if dead {
          self.reporter.borrow_mut().cancelled(&test.name);
        }
      } else if test.ignore {
        self.ignore(test);
      } else {
        dead = self.run_one(index, test).await;
      }
    }
    if !dead {
      let hooks = self.call("runHooks", CallArgument::Text("afterAll")).await;
      self.report_hooks("afterAll", hooks);
    }
  }

  fn ignore(&self, test: &Registered) {
    let mut reporter = self.reporter.borrow_mut();
    reporter.test_begins(&test.name, test.place);
    reporter.test_ends(&test.name, Duration::ZERO, Outcome::Ignored);
  }

  /// Runs a test; returns whether the file's runtime is unusable afterwards.
  async fn run_one(&mut self, index: u32, test: &Registered) -> bool {
    self
      .reporter
      .borrow_mut()
      .test_begins(&test.name, test.place);
    let started = Instant::now();
    let end = self.call("runTest", CallArgument::Index(index)).await;
    let (outcome, dead) = match end {
      CallEnd::Returned => (Outcome::Ok, false),
      CallEnd::Threw(error) => (Outcome::failed(&error), false),
      CallEnd::Stalled => (
        Outcome::Failed(
          "Promise resolution is still pending but the event loop has already resolved.".into(),
        ),
        false,
      ),
      CallEnd::TimedOut => {
        let seconds = self.options.timeout.unwrap_or_default().as_secs();
        let text = format!("The test did not end within {seconds} seconds (--timeout).");
        (Outcome::Failed(text), self.watchdog.has_bitten())
      }
      CallEnd::Uncaught(error) => {
        self.reporter.borrow_mut().uncaught(&error);
        self.reporter.borrow_mut().cancelled(&test.name);
        return true;
      }
    };
    self
      .reporter
      .borrow_mut()
      .test_ends(&test.name, started.elapsed(), outcome);
    dead
  }

  fn report_hooks(&self, name: &str, end: CallEnd) -> bool {
    let mut reporter = self.reporter.borrow_mut();
    let error = match end {
      CallEnd::Returned => return false,
      CallEnd::Threw(error) => CoreErrorKind::Js(error).into_box(),
      CallEnd::Uncaught(error) => error,
      CallEnd::Stalled | CallEnd::TimedOut => {
        let message = format!("a {name} hook did not end");
        CoreErrorKind::JsBox(deno_error::JsErrorBox::generic(message)).into_box()
      }
    };
    reporter.uncaught(&error);
    true
  }

  async fn call(&mut self, function: &str, argument: CallArgument<'_>) -> CallEnd {
    self.watchdog.arm(self.watchdog_time());
    // The inner result is the function's; an error of the event loop is not the test's.
    let call = self
      .worker
      .start_call(function, argument)
      .map(Ok::<_, CoreError>);
    let call = self
      .worker
      .runtime
      .with_event_loop_promise(call, PollEventLoopOptions::default());
    let result = match self.options.timeout {
      Some(timeout) => tokio::time::timeout(timeout, call).await,
      None => Ok(call.await),
    };
    self.watchdog.arm(None);
    if self.watchdog.has_bitten() {
      return CallEnd::TimedOut;
    }
    match result {
      Err(_) => CallEnd::TimedOut,
      Ok(Ok(Ok(_))) => CallEnd::Returned,
      Ok(Ok(Err(error))) => CallEnd::Threw(error),
      Ok(Err(error)) => match error.as_kind() {
        CoreErrorKind::PendingPromiseResolution => CallEnd::Stalled,
        _ => CallEnd::Uncaught(error),
      },
    }
  }
}
