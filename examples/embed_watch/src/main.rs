//! A script streams the changes that Rust makes: `kv.watch` needs `ReadableStream`, which `deno_web`
//! brings.
//!
//!     cargo run -p embed_watch

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use deno_core::{JsRuntime, PollEventLoopOptions, RuntimeOptions, url::Url};
use kv_ext::{KvOptions, Store, key};

// What a script finds of deno_web is the embedder's to say: here, the streams.
deno_core::extension!(
  globals,
  deps = [deno_web],
  esm_entry_point = "ext:globals/main.js",
  esm = ["ext:globals/main.js" = {
    source = r#"
      import { core } from "ext:core/mod.js";
      const { ReadableStream } = core.loadExtScript("ext:deno_web/06_streams.js");
      globalThis.ReadableStream = ReadableStream;
      globalThis.print = (text) => core.print(`${text}\n`);
    "#
  }],
);

fn main() -> Result<()> {
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  tokio.block_on(async {
    let store = Store::in_memory()?;
    let mut runtime = JsRuntime::new(RuntimeOptions {
      extensions: vec![
        deno_webidl::deno_webidl::init(),
        deno_web::deno_web::init(
          Arc::<deno_web::BlobStore>::default(),
          None,
          false,
          deno_web::InMemoryBroadcastChannel::default(),
        ),
        globals::init(),
        kv_ext::init(KvOptions::default().default_store(store.clone())),
      ],
      ..Default::default()
    });
    let url = Url::parse("file:///watch.js")?;
    let code = include_str!("../watch.js");
    let module = runtime.load_main_es_module_from_code(&url, code).await?;
    let evaluated = runtime.mod_evaluate(module);

    // A script and Rust share the thread here; each waits without holding the other up.
    let (changed, ended) = tokio::join!(
      change(&store),
      runtime.run_event_loop(PollEventLoopOptions::default())
    );
    changed?;
    ended?;
    Ok(evaluated.await?)
  })
}

async fn change(store: &Store) -> Result<()> {
  for percent in [25, 50, 100] {
    store.set(key!["progress"], percent).await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
  }
  Ok(())
}
