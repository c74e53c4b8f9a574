//! A runtime with kv_ext and Deno's extensions for the web and the network, in several orders: `fetch`, a
//! store, a stream of changes, and an end.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{
  Extension, JsRuntime, ModuleCodeString, ModuleName, PollEventLoopOptions, RuntimeOptions,
};
use deno_error::JsErrorBox;
use deno_permissions::{PermissionsContainer, RuntimePermissionDescriptorParser};
use kv_ext::KvOptions;

deno_core::extension!(
  globals,
  deps = [deno_fetch, deno_net, deno_telemetry, deno_web],
  esm_entry_point = "ext:globals/main.js",
  esm = ["ext:globals/main.js" = {
    source = r#"
      import { core } from "ext:core/mod.js";
      const load = (file) => core.loadExtScript(`ext:deno_web/${file}`);
      globalThis.ReadableStream = load("06_streams.js").ReadableStream;
      globalThis.URL = load("00_url.js").URL;
      globalThis.AbortSignal = load("03_abort_signal.js").AbortSignal;
      globalThis.fetch = core.loadExtScript("ext:deno_fetch/26_fetch.js").fetch;
    "#
  }],
);

const SCRIPT: &str = r#"(async () => {
  const kv = await Deno.openKv(":memory:");
  const response = await fetch("data:text/plain,from the network");
  await kv.set(["page"], { status: response.status, text: await response.text() });
  const { value } = await kv.get(["page"]);
  if (value.status !== 200 || value.text !== "from the network") throw new Error(JSON.stringify(value));
  for await (const [{ value }] of kv.watch([["page"]])) {
    if (value === "changed") break;
    await kv.set(["page"], "changed");
  }
  kv.close();
})()"#;

fn extensions(kv_at: usize) -> Vec<Extension> {
  let mut extensions = vec![
    deno_webidl::deno_webidl::init(),
    deno_web::deno_web::init(
      Arc::<deno_web::BlobStore>::default(),
      None,
      false,
      deno_web::InMemoryBroadcastChannel::default(),
    ),
    deno_telemetry::deno_telemetry::init(),
    deno_net::deno_net::init(None, None),
    deno_fetch::deno_fetch::init(deno_fetch::Options::default()),
    globals::init(),
  ];
  extensions.insert(kv_at, kv_ext::init(KvOptions::default()));
  extensions
}

/// Some of Deno's extensions are written in TypeScript.
fn transpile(
  name: ModuleName,
  code: ModuleCodeString,
) -> Result<(ModuleCodeString, Option<Cow<'static, [u8]>>), JsErrorBox> {
  if !name.as_str().ends_with(".ts") {
    return Ok((code, None));
  }
  let wrong = |error: &dyn std::fmt::Display| JsErrorBox::generic(error.to_string());
  let parsed = deno_ast::parse_program(deno_ast::ParseParams {
    specifier: name.as_str().parse().map_err(|error| wrong(&error))?,
    text: code.as_str().into(),
    media_type: deno_ast::MediaType::TypeScript,
    capture_tokens: false,
    scope_analysis: false,
    maybe_syntax: None,
  })
  .map_err(|error| wrong(&error))?;
  let emitted = parsed
    .transpile(
      &Default::default(),
      &Default::default(),
      &deno_ast::EmitOptions {
        source_map: deno_ast::SourceMapOption::None,
        ..Default::default()
      },
    )
    .map_err(|error| wrong(&error))?;
  // A script is one expression, which deno_core calls: no statement.
  let source = emitted.into_source().text;
  let source = source.trim_end().trim_end_matches(';').to_owned();
  Ok((source.into(), None))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  for kv_at in [0, 2, 5, 6] {
    let _entered = tokio.enter();
    let mut runtime = JsRuntime::new(RuntimeOptions {
      extensions: extensions(kv_at),
      extension_transpiler: Some(Rc::new(transpile)),
      ..RuntimeOptions::default()
    });
    let parser = RuntimePermissionDescriptorParser::new(sys_traits::impls::RealSys);
    let permissions = PermissionsContainer::allow_all(Arc::new(parser));
    runtime.op_state().borrow_mut().put(permissions);
    let promise = runtime.execute_script("main.js", SCRIPT)?;
    let resolved = Box::pin(runtime.resolve(promise));
    let options = PollEventLoopOptions::default();
    tokio.block_on(runtime.with_event_loop_promise(resolved, options))?;
    println!("kv_ext as extension {kv_at}: ok");
  }
  Ok(())
}
