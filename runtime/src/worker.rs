use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use anyhow::{Context, Result};
use deno_core::error::{CoreError, JsError};
use deno_core::url::Url;
use deno_core::{
  JsRuntime, ModuleName, PollEventLoopOptions, RuntimeOptions, SharedArrayBufferStore, scope, v8,
};
use kv_bootstrap::{ExitCode, Script};
use kv_ext::KvOptions;

use crate::modules::{Config, FileLoader};
use crate::paths;

static SNAPSHOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kv.snapshot"));

/// A JavaScript runtime for one script.
pub struct Worker {
  pub runtime: JsRuntime,
  pub main_module: Url,
  exit_code: ExitCode,
  /// The functions that the JS side has left for this one.
  internals: Functions,
}

/// An object of functions.
pub struct Functions(v8::Global<v8::Object>);

impl Worker {
  /// Makes a runtime for the script, without loading the script. `adapt` may change the options of its databases.
  ///
  /// # Errors
  /// Its `deno.json` can't be read, or there is no place for its database.
  pub fn new(
    main_module: Url,
    args: Vec<String>,
    adapt: impl FnOnce(KvOptions) -> KvOptions,
  ) -> Result<Self> {
    let kv = adapt(paths::kv_options(&main_module)?);
    let config = Config::find(&main_module)?;
    let exit_code = ExitCode::default();
    let mut runtime = JsRuntime::new(RuntimeOptions {
      extensions: kv_bootstrap::extensions(kv_bootstrap::Config {
        script: Script {
          args,
          main_module: main_module.to_string(),
        },
        kv,
        exit_code: exit_code.clone(),
      }),
      module_loader: Some(Rc::new(FileLoader::new(config))),
      startup_snapshot: Some(SNAPSHOT),
      // structuredClone and postMessage transfer buffers through it.
      shared_array_buffer_store: Some(SharedArrayBufferStore::default()),
      is_main: true,
      ..RuntimeOptions::default()
    });
    let state = runtime.op_state();
    kv_bootstrap::allow_all(&mut state.borrow_mut());
    kv_bootstrap::close_databases_on_exit(&mut state.borrow_mut());
    let started = runtime
      .execute_script(
        "ext:kv/start.js",
        "(() => {
          const internals = globalThis.__kvInternals;
          delete globalThis.__kvInternals;
          return internals.start();
        })()",
      )
      .context("the runtime could not start")?;
    let internals = Functions::new(&mut runtime, started)?;
    Ok(Self {
      runtime,
      main_module,
      exit_code,
      internals,
    })
  }

  /// Loads and evaluates the main module, with its top-level awaits.
  pub async fn evaluate_main_module(&mut self) -> Result<(), CoreError> {
    let main_module = self.main_module.clone();
    let id = self.runtime.load_main_es_module(&main_module).await?;
    let mut evaluated = pin!(self.runtime.mod_evaluate(id));
    tokio::select! {
      biased;
      result = &mut evaluated => result?,
      result = self.runtime.run_event_loop(PollEventLoopOptions::default()) => {
        // The loop also ends with an error from a floating promise or a timer. When it has nothing left to do, it knows
        // whether a top-level await can still resolve.
        result?;
        evaluated.await?;
      }
    }
    // What the module itself has thrown comes out of the loop as well.
    poll_fn(|context| {
      let polled = self
        .runtime
        .poll_event_loop(context, PollEventLoopOptions::default());
      Poll::Ready(match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Ok(()),
      })
    })
    .await
  }

  /// Runs until nothing is left to wait for.
  pub async fn run_event_loop(&mut self) -> Result<(), CoreError> {
    self
      .runtime
      .run_event_loop(PollEventLoopOptions::default())
      .await
  }

  /// Calls one of the functions in `internals` and waits for what it returns.
  pub async fn call(
    &mut self,
    function: &str,
    argument: CallArgument<'_>,
  ) -> Result<v8::Global<v8::Value>, CoreError> {
    let call = self.start_call(function, argument);
    self
      .runtime
      .with_event_loop_promise(call, PollEventLoopOptions::default())
      .await
  }

  /// Starts such a call. Its result includes an error that the function throws, but no other error of the event loop.
  pub fn start_call(
    &mut self,
    function: &str,
    argument: CallArgument<'_>,
  ) -> impl Future<Output = Result<v8::Global<v8::Value>, Box<JsError>>> + Unpin + use<> {
    let internals = Functions(self.internals.0.clone());
    self.start_call_of(&internals, function, argument)
  }

  /// Like [`start_call`](Self::start_call), for other functions than `internals`.
  pub fn start_call_of(
    &mut self,
    functions: &Functions,
    function: &str,
    argument: CallArgument<'_>,
  ) -> impl Future<Output = Result<v8::Global<v8::Value>, Box<JsError>>> + Unpin + use<> {
    let (function, args) = {
      scope!(scope, &mut self.runtime);
      let functions = v8::Local::new(scope, &functions.0);
      let function = v8::String::new(scope, function)
        .and_then(|name| functions.get(scope, name.into()))
        .and_then(|value| v8::Local::<v8::Function>::try_from(value).ok());
      let argument: Option<v8::Local<v8::Value>> = match argument {
        CallArgument::None => None,
        CallArgument::Index(index) => Some(v8::Integer::new_from_unsigned(scope, index).into()),
        CallArgument::Text(text) => v8::String::new(scope, text).map(Into::into),
      };
      (
        function.map(|function| v8::Global::new(scope, function)),
        argument.map(|argument| v8::Global::new(scope, argument)),
      )
    };
    let args: Vec<_> = args.into_iter().collect();
    let call = function.map(|function| self.runtime.call_with_args(&function, &args));
    Box::pin(async move {
      match call {
        Some(call) => call.await,
        None => Err(Box::new(internal_error(
          "the runtime's JS side is incomplete",
        ))),
      }
    })
  }

  /// Calls a function in `internals` that returns a boolean at once.
  pub async fn ask(&mut self, function: &str) -> Result<bool, CoreError> {
    let answer = self.call(function, CallArgument::None).await?;
    scope!(scope, &mut self.runtime);
    Ok(v8::Local::new(scope, answer).is_true())
  }

  /// Evaluates a script of ours, whose value is an object of functions.
  pub fn functions(&mut self, name: String, source: &'static str) -> Result<Functions> {
    let value = self
      .runtime
      .execute_script(ModuleName::from(name), source)?;
    Functions::new(&mut self.runtime, value)
  }

  /// Waits for a call that returns a string.
  pub async fn text_of(
    &mut self,
    call: impl Future<Output = Result<v8::Global<v8::Value>, Box<JsError>>> + Unpin,
  ) -> Result<String, CoreError> {
    let text = self
      .runtime
      .with_event_loop_promise(call, PollEventLoopOptions::default())
      .await?;
    scope!(scope, &mut self.runtime);
    Ok(v8::Local::new(scope, text).to_rust_string_lossy(scope))
  }

  /// What `Deno.exitCode` was set to.
  pub fn exit_code(&self) -> i32 {
    self.exit_code.get()
  }
}

impl Functions {
  fn new(runtime: &mut JsRuntime, value: v8::Global<v8::Value>) -> Result<Self> {
    scope!(scope, runtime);
    let value = v8::Local::new(scope, value);
    let object = v8::Local::<v8::Object>::try_from(value)?;
    Ok(Self(v8::Global::new(scope, object)))
  }
}

/// The argument of a call to the JS side.
pub enum CallArgument<'a> {
  None,
  Index(u32),
  Text(&'a str),
}

fn internal_error(message: &str) -> JsError {
  JsError {
    name: None,
    message: Some(message.into()),
    stack: None,
    cause: None,
    exception_message: message.into(),
    frames: Vec::new(),
    source_line: None,
    source_line_frame_index: None,
    aggregated: None,
    additional_properties: Vec::new(),
    stack_is_custom: false,
  }
}
