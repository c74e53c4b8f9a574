//! The JavaScript runtime behind the prompt.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use anyhow::{Result, bail};
use deno_core::PollEventLoopOptions;
use deno_core::error::{CoreError, CoreErrorKind};
use deno_core::url::Url;
use deno_terminal::colors;
use serde_json::json;

use super::interrupt::Interrupts;
use super::source;
use crate::fmt_error::{Detail, format_core_error};
use crate::worker::{CallArgument, Functions, Worker};

/// How an evaluation has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
  Fine,
  Threw,
}

pub struct Session {
  worker: Worker,
  functions: Functions,
  /// None where Ctrl+C ends the process: input comes from a pipe.
  interrupts: Option<Interrupts>,
  colors: bool,
}

impl Session {
  /// A runtime whose global `kv` is the database at `path`; without one, the default database of the
  /// main module.
  pub async fn open(main_module: Url, path: Option<&str>, interactive: bool) -> Result<Self> {
    let mut worker = Worker::new(main_module.clone(), Vec::new(), |kv| kv)?;
    // Named after the main module, so that imports in the input resolve against it.
    let functions = worker.functions(String::from(main_module), with_screenful!("repl/repl.js"))?;
    let interrupts = if interactive {
      let isolate = worker.runtime.v8_isolate().thread_safe_handle();
      Some(Interrupts::hear(isolate)?)
    } else {
      None
    };
    let colors = interactive && !kv_bootstrap::no_color();
    colors::set_use_color(colors);
    let mut session = Self {
      worker,
      functions,
      interrupts,
      colors,
    };
    let path = json!(path).to_string();
    let wrong = session.call("open", &path).await?;
    if !wrong.is_empty() {
      bail!("{wrong}");
    }
    Ok(session)
  }

  /// Runs the event loop until the future is ready.
  pub async fn while_waiting<T>(&mut self, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
      let options = PollEventLoopOptions::default();
      if let Poll::Ready(Err(error)) = self.worker.runtime.poll_event_loop(context, options) {
        report(&error);
        // There may be more to do.
        context.waker().wake_by_ref();
      }
      future.as_mut().poll(context)
    })
    .await
  }

  /// Evaluates an input, and prints its value or what it has thrown.
  pub async fn evaluate(&mut self, input: &str) -> Result<End> {
    if input.trim().is_empty() {
      return Ok(End::Fine);
    }
    let script = match source::script(input) {
      Ok(script) => script,
      Err(message) => {
        eprintln!("Uncaught {message}");
        return Ok(End::Threw);
      }
    };
    let argument = json!({ "script": script, "colors": self.colors }).to_string();
    if let Some(interrupts) = &self.interrupts {
      interrupts.arm();
    }
    let call =
      self
        .worker
        .start_call_of(&self.functions, "evaluate", CallArgument::Text(&argument));
    let result = tokio::select! {
      result = self.worker.text_of(call) => Some(result),
      () = stopped(self.interrupts.as_ref()) => None,
    };
    let was_stopped = self.interrupts.as_ref().is_some_and(Interrupts::disarm);
    Ok(match result {
      _ if was_stopped => {
        println!("stopped");
        End::Threw
      }
      Some(Ok(fine)) if fine == "true" => End::Fine,
      Some(Ok(_)) | None => End::Threw,
      Some(Err(error)) if matches!(error.as_kind(), CoreErrorKind::PendingPromiseResolution) => {
        eprintln!("the promise is pending, and nothing is left that could settle it");
        End::Threw
      }
      // Other code, such as a timer, threw during the evaluation.
      Some(Err(error)) => {
        report(&error);
        End::Threw
      }
    })
  }

  /// Names that may stand after a chain of names.
  pub async fn names(&mut self, path: &str) -> Result<Vec<String>> {
    let names = self.call("names", path).await?;
    Ok(serde_json::from_str(&names)?)
  }

  /// Closes the database.
  pub async fn close(&mut self) -> Result<()> {
    self.call("close", "").await?;
    Ok(())
  }

  async fn call(&mut self, function: &str, argument: &str) -> Result<String, CoreError> {
    let call = self
      .worker
      .start_call_of(&self.functions, function, CallArgument::Text(argument));
    self.worker.text_of(call).await
  }
}

async fn stopped(interrupts: Option<&Interrupts>) {
  match interrupts {
    Some(interrupts) => interrupts.stopped().await,
    None => std::future::pending().await,
  }
}

fn report(error: &CoreError) {
  eprintln!("{}", format_core_error(error, Detail::Full));
}
