//! The report that `deno test` prints.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use deno_core::error::{CoreError, JsError};
use deno_core::url::Url;
use deno_terminal::colors;

use crate::fmt_error::{Detail, format_core_error, format_js_error};

/// How a test or a step ended.
pub enum Outcome {
  Ok,
  Ignored,
  /// Failed, with what to print.
  Failed(String),
  /// Steps have failed, and were reported; nothing else went wrong.
  FailedSteps(String),
}

impl Outcome {
  /// The outcome of a test or step that threw this error.
  pub fn failed(error: &JsError) -> Self {
    match (error.name.as_deref(), &error.message) {
      (Some("StepsFailed"), Some(message)) => Self::FailedSteps(message.clone()),
      _ => {
        let text = format_js_error(error, Detail::Test);
        let text = text
          .trim_start_matches("Uncaught ")
          .trim_start_matches("(in promise) ");
        Self::Failed(text.into())
      }
    }
  }
}

/// A failure, as it is listed at the end.
struct Failure {
  title: String,
  text: String,
  /// The error came from outside any test.
  uncaught: bool,
}

#[derive(Default)]
struct Counts {
  passed: usize,
  failed: usize,
  ignored: usize,
}

/// A test or step whose end is not reported yet.
struct Running {
  name: String,
  /// Line and column where it was defined.
  place: (u32, u32),
  started: Instant,
}

/// Prints as tests run, counts, and sums up.
pub struct Reporter {
  /// Paths are shown relative to it.
  folder: Option<Url>,
  file: String,
  tests: Counts,
  steps: Counts,
  filtered_out: usize,
  used_only: bool,
  failures: Vec<Failure>,
  /// The running test, and inside it the running steps.
  running: Vec<Running>,
  /// The script has printed something since the reporter's last line.
  in_output: bool,
  /// The cursor is on the unfinished line of the test or step at this level of `running`.
  open_line: Option<usize>,
}

impl Reporter {
  pub fn new(folder: &Path) -> Self {
    Self {
      folder: Url::from_directory_path(folder).ok(),
      file: String::new(),
      tests: Counts::default(),
      steps: Counts::default(),
      filtered_out: 0,
      used_only: false,
      failures: Vec::new(),
      running: Vec::new(),
      in_output: false,
      open_line: None,
    }
  }

  /// Tests and files that have failed.
  pub fn failures(&self) -> usize {
    self.tests.failed
  }

  pub fn used_only(&self) -> bool {
    self.used_only
  }

  pub fn file_begins(&mut self, url: &Url) {
    let relative = self
      .folder
      .as_ref()
      .and_then(|folder| folder.make_relative(url));
    self.file = match relative {
      Some(path) if path.starts_with("..") => path,
      Some(path) => format!("./{path}"),
      None => url.to_string(),
    };
  }

  pub fn plan(&mut self, tests: usize, filtered_out: usize, only: bool) {
    self.filtered_out += filtered_out;
    self.used_only |= only;
    if tests > 0 || filtered_out == 0 {
      self.end_output();
      let noun = if tests == 1 { "test" } else { "tests" };
      let line = format!("running {tests} {noun} from {}", self.file);
      print(&format!("{}\n", colors::gray(line)));
    }
  }

  pub fn test_begins(&mut self, name: &str, place: (u32, u32)) {
    self.begin(name, place);
  }

  pub fn step_begins(&mut self, depth: usize, name: &str, place: (u32, u32)) {
    // A step that was not awaited may report after its parent has ended; then it appears on its own.
    self.running.truncate(depth.max(1));
    self.begin(name, place);
  }

  fn begin(&mut self, name: &str, place: (u32, u32)) {
    self.end_output();
    self.end_line();
    print(&format!("{}{name} ...", "  ".repeat(self.running.len())));
    self.running.push(Running {
      name: name.into(),
      place,
      started: Instant::now(),
    });
    self.open_line = Some(self.running.len());
  }

  pub fn test_ends(&mut self, name: &str, time: Duration, outcome: Outcome) {
    self.running.truncate(1);
    self.end(1, name, time, &outcome);
    count(&mut self.tests, &outcome);
    self.keep_failure(outcome);
    self.running.clear();
  }

  pub fn step_ends(&mut self, depth: usize, name: &str, outcome: Outcome) {
    self.running.truncate(depth + 1);
    let time = match (&outcome, self.running.last()) {
      (Outcome::Ignored, _) | (_, None) => Duration::ZERO,
      (_, Some(step)) => step.started.elapsed(),
    };
    self.end(depth + 1, name, time, &outcome);
    count(&mut self.steps, &outcome);
    self.keep_failure(outcome);
    self.running.truncate(depth);
  }

  /// Remembers what to print at the end of the innermost of what is running.
  fn keep_failure(&mut self, outcome: Outcome) {
    let Outcome::Failed(text) = outcome else {
      return;
    };
    let names: Vec<_> = self.running.iter().map(|running| &*running.name).collect();
    let (line, column) = self.running.last().map_or((0, 0), |running| running.place);
    let title = format!("{} => {}:{line}:{column}", names.join(" ... "), self.file);
    self.failures.push(Failure {
      title,
      text,
      uncaught: false,
    });
  }

  fn end(&mut self, level: usize, name: &str, time: Duration, outcome: &Outcome) {
    let had_output = self.in_output;
    self.end_output();
    if had_output || self.open_line != Some(level) {
      self.end_line();
      print(&format!("{}{name} ...", "  ".repeat(level - 1)));
    }
    let status: Box<dyn Display> = match outcome {
      Outcome::Ok => Box::new(colors::green("ok")),
      Outcome::Ignored => Box::new(colors::yellow("ignored")),
      Outcome::Failed(_) => Box::new(colors::red("FAILED")),
      Outcome::FailedSteps(reason) => Box::new(format!("{} ({reason})", colors::red("FAILED"))),
    };
    print(&format!(
      " {status} {}\n",
      colors::gray(format!("({})", human(time)))
    ));
    self.open_line = None;
  }

  /// Reports a test that did not run, or did not finish, because its file failed.
  pub fn cancelled(&mut self, name: &str) {
    self.end_output();
    self.end_line();
    print(&format!(
      "{name} ... {} {}\n",
      colors::gray("cancelled"),
      colors::gray("(0ms)")
    ));
    self.running.clear();
    self.tests.failed += 1;
  }

  /// An error that no test has thrown.
  pub fn uncaught(&mut self, error: &CoreError) {
    self.end_output();
    self.end_line();
    self.running.clear();
    print(&format!(
      "Uncaught error from {} {}\n",
      self.file,
      colors::red("FAILED")
    ));
    self.tests.failed += 1;
    let text = format_core_error(error, Detail::Test);
    let text = format!(
      "{}\nThis error was not caught from a test and caused the test runner to fail on the \
       referenced module.\nIt most likely originated from a dangling promise, event/timeout \
       handler or top-level code.",
      text.trim_start_matches("Uncaught ")
    );
    let title = format!("{} (uncaught error)", self.file);
    self.failures.push(Failure {
      title,
      text,
      uncaught: true,
    });
  }

  /// The script is about to print something.
  pub fn output_begins(&mut self) {
    if !self.in_output && !self.running.is_empty() {
      self.end_line();
      print(&format!("{}\n", colors::gray("------- output -------")));
      self.in_output = true;
    }
  }

  fn end_output(&mut self) {
    if self.in_output {
      print(&format!("{}\n", colors::gray("----- output end -----")));
      self.in_output = false;
    }
  }

  fn end_line(&mut self) {
    if self.open_line.take().is_some() {
      print("\n");
    }
  }

  /// All failures again, with their errors, and the sums.
  pub fn summary(&mut self, time: Duration) {
    if !self.failures.is_empty() {
      print(&format!("\n{}\n\n", colors::white_on_red(" ERRORS ")));
      for failure in &self.failures {
        let title = match failure.uncaught {
          true => colors::bold(&failure.title).to_string(),
          false => failure.title.clone(),
        };
        print(&format!(
          "{title}\n{}: {}\n\n",
          colors::red_bold("error"),
          failure.text
        ));
      }
      print(&format!("{}\n\n", colors::white_on_red(" FAILURES ")));
      for failure in &self.failures {
        print(&format!("{}\n", failure.title));
      }
    }
    let status = match self.tests.failed {
      0 => colors::green("ok").to_string(),
      _ => colors::red("FAILED").to_string(),
    };
    let Counts {
      passed,
      failed,
      ignored,
    } = self.tests;
    let mut line = format!(
      "\n{status} | {passed} passed{} | {failed} failed{}",
      steps(self.steps.passed),
      steps(self.steps.failed)
    );
    if ignored + self.steps.ignored > 0 {
      line += &format!(" | {ignored} ignored{}", steps(self.steps.ignored));
    }
    if self.filtered_out > 0 {
      line += &format!(" | {} filtered out", self.filtered_out);
    }
    print(&format!(
      "{line} {}\n\n",
      colors::gray(format!("({})", human(time)))
    ));
  }
}

fn count(counts: &mut Counts, outcome: &Outcome) {
  match outcome {
    Outcome::Ok => counts.passed += 1,
    Outcome::Ignored => counts.ignored += 1,
    Outcome::Failed(_) | Outcome::FailedSteps(_) => counts.failed += 1,
  }
}

fn steps(count: usize) -> String {
  match count {
    0 => String::new(),
    1 => " (1 step)".into(),
    many => format!(" ({many} steps)"),
  }
}

fn human(time: Duration) -> String {
  match time.as_micros() {
    0 => "0ms".into(),
    micros if micros < 1000 => format!("{micros}µs"),
    micros if micros < 1_000_000 => format!("{}ms", micros / 1000),
    _ if time.as_secs() < 60 => format!("{}s", time.as_secs()),
    _ => format!("{}m{}s", time.as_secs() / 60, time.as_secs() % 60),
  }
}

/// Prints, ignoring errors: testing goes on even if nobody reads the report.
fn print(text: &str) {
  let mut stdout = std::io::stdout();
  let _ = stdout
    .write_all(text.as_bytes())
    .and_then(|()| stdout.flush());
}
