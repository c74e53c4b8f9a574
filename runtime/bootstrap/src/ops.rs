//! Ops of the runtime itself. Everything larger is Deno's own.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::rc::Rc;

use deno_core::error::JsError;
use deno_core::{OpState, ToV8, op2, v8};

/// The script that runs, as `Deno.args` and `Deno.mainModule` show it.
#[derive(Clone, Debug, Default)]
pub struct Script {
  /// What follows the file on the command line.
  pub args: Vec<String>,
  /// The URL of the main module.
  pub main_module: String,
}

#[derive(ToV8)]
struct ScriptInfo {
  args: Vec<String>,
  main_module: String,
  pid: u32,
  ppid: u32,
}

#[op2]
pub fn op_kv_script(state: &mut OpState) -> ScriptInfo {
  let script = state.borrow::<Script>().clone();
  #[cfg(unix)]
  let ppid = std::os::unix::process::parent_id();
  #[cfg(not(unix))]
  let ppid = 0;
  ScriptInfo {
    args: script.args,
    main_module: script.main_module,
    pid: std::process::id(),
    ppid,
  }
}

#[derive(ToV8)]
struct Build {
  target: String,
  arch: String,
  os: String,
  vendor: String,
  standalone: bool,
}

#[op2]
pub fn op_kv_build() -> Build {
  let arch = std::env::consts::ARCH;
  // Deno's names for what Rust calls otherwise.
  let (os, vendor, system) = match std::env::consts::OS {
    "macos" => ("darwin", "apple", "darwin"),
    "windows" => ("windows", "pc", "windows-msvc"),
    "linux" => ("linux", "unknown", "linux-gnu"),
    other => (other, "unknown", other),
  };
  Build {
    target: format!("{arch}-{vendor}-{system}"),
    arch: arch.into(),
    os: os.into(),
    vendor: vendor.into(),
    standalone: false,
  }
}

/// The version of Deno whose API scripts find here.
const DENO_API: &str = "2.9.8";
/// The version of TypeScript that deno_ast's parser follows.
const TYPESCRIPT: &str = "5.9.2";

#[derive(ToV8)]
struct Versions {
  deno: String,
  v8: String,
  typescript: String,
  kv: String,
}

#[op2]
pub fn op_kv_versions() -> Versions {
  Versions {
    deno: DENO_API.into(),
    v8: v8::VERSION_STRING.into(),
    typescript: TYPESCRIPT.into(),
    kv: env!("CARGO_PKG_VERSION").into(),
  }
}

/// Whether the user asked for no colours: `NO_COLOR` is set, and not to nothing.
pub fn no_color() -> bool {
  std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

#[op2(fast)]
pub fn op_kv_no_color() -> bool {
  no_color()
}

#[op2(fast)]
pub fn op_kv_is_terminal(stderr: bool) -> bool {
  if stderr {
    std::io::stderr().is_terminal()
  } else {
    std::io::stdout().is_terminal()
  }
}

#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class(generic)]
#[error("the system gave no random numbers: {0}")]
pub struct RandomError(getrandom::Error);

#[op2(fast)]
pub fn op_kv_random_fill(#[buffer] bytes: &mut [u8]) -> Result<(), RandomError> {
  getrandom::fill(bytes).map_err(RandomError)
}

#[op2]
#[string]
pub fn op_kv_random_uuid() -> Result<String, RandomError> {
  let mut bytes = [0; 16];
  getrandom::fill(&mut bytes).map_err(RandomError)?;
  Ok(
    uuid::Builder::from_random_bytes(bytes)
      .into_uuid()
      .to_string(),
  )
}

/// Learns of output before a script prints it, so that the test reporter can mark where a test's output begins.
pub trait OutputGate {
  /// Called before each piece of output.
  fn before_output(&self);
}

/// Prints for `console.log` and its kin. It differs from Deno's op in the gate, and in ignoring a closed pipe, which
/// then ends only the output, not the program.
#[op2(fast)]
pub fn op_kv_print(
  state: &mut OpState,
  #[string] message: &str,
  is_error: bool,
) -> Result<(), std::io::Error> {
  if let Some(gate) = state.try_borrow::<Rc<dyn OutputGate>>() {
    gate.clone().before_output();
  }
  let written = if is_error {
    std::io::stderr().write_all(message.as_bytes())
  } else {
    let mut stdout = std::io::stdout();
    stdout
      .write_all(message.as_bytes())
      .and_then(|()| stdout.flush())
  };
  match written {
    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
    result => result,
  }
}

/// What happens in a test file, for the reporter.
pub trait TestEvents {
  /// `Deno.test` was called, at this line and column.
  fn registered(&mut self, name: String, ignore: bool, only: bool, place: (u32, u32));
  /// A step begins, called at this line and column; steps of the test itself have depth 1.
  fn step(&mut self, depth: u32, name: String, place: (u32, u32));
  /// A step has ended: `ok`, `ignored` or `failed`, with what it has thrown.
  fn step_done(&mut self, depth: u32, name: String, status: String, error: Option<Box<JsError>>);
}

/// Where test events go. A runtime that runs no tests has none, and `Deno.test` does nothing.
pub type TestSink = Rc<RefCell<dyn TestEvents>>;

fn sink(state: &OpState) -> Option<TestSink> {
  state.try_borrow::<TestSink>().cloned()
}

#[op2(fast)]
pub fn op_kv_test_register(
  state: &mut OpState,
  #[string] name: String,
  ignore: bool,
  only: bool,
  #[smi] line: u32,
  #[smi] column: u32,
) {
  if let Some(sink) = sink(state) {
    sink
      .borrow_mut()
      .registered(name, ignore, only, (line, column));
  }
}

#[op2(fast)]
pub fn op_kv_test_step(
  state: &mut OpState,
  #[smi] depth: u32,
  #[string] name: String,
  #[smi] line: u32,
  #[smi] column: u32,
) {
  if let Some(sink) = sink(state) {
    sink.borrow_mut().step(depth, name, (line, column));
  }
}

// Making a `JsError` runs JavaScript, which may call ops: the state must not be borrowed meanwhile.
#[op2(nofast, reentrant)]
pub fn op_kv_test_step_done<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  state: Rc<RefCell<OpState>>,
  #[smi] depth: u32,
  #[string] name: String,
  #[string] status: String,
  error: v8::Local<'s, v8::Value>,
) {
  let Some(sink) = sink(&state.borrow()) else {
    return;
  };
  let error = (status == "failed").then(|| JsError::from_v8_exception(scope, error));
  sink.borrow_mut().step_done(depth, name, status, error);
}
