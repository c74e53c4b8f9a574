//! JavaScript with a durable store in a Rust program: two isolates on two threads, and Rust itself, share
//! a database. There is `deno_core` and `kv_ext`, and nothing else of Deno.
//!
//!     cargo run -p embed [FILE]
//!
//! Rust puts words into a queue; the isolates count them (`worker.js`); Rust watches the counts. Run it
//! twice: the second run goes on where the first has stopped.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow};
use deno_core::futures::{StreamExt, TryStreamExt};
use deno_core::{JsRuntime, PollEventLoopOptions, RuntimeOptions, url::Url};
use kv_ext::{KvOptions, ListOptions, Selector, Store, Value, key};

const WORDS: [&str; 6] = ["ada", "grace", "ada", "mary", "grace", "ada"];
const WORKERS: usize = 2;

fn main() -> Result<()> {
  let file = std::env::args_os().nth(1).map_or_else(
    || std::env::temp_dir().join("kv-embed.sqlite3"),
    PathBuf::from,
  );
  let store = Store::open(&file)?;
  let workers: Vec<_> = (0..WORKERS)
    .map(|_| {
      let file = file.clone();
      thread::spawn(move || work(&file))
    })
    .collect();

  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  tokio.block_on(count(&store))?;

  for worker in workers {
    worker.join().map_err(|_| anyhow!("a worker panicked"))??;
  }
  // Dropping the last handle closes the file, and leaves one file without a log.
  drop(store);
  println!("closed {}", file.display());
  Ok(())
}

/// An isolate: it runs `worker.js` to its end.
fn work(file: &Path) -> Result<()> {
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  tokio.block_on(async {
    let mut runtime = JsRuntime::new(RuntimeOptions {
      extensions: vec![kv_ext::init(KvOptions::default().default_path(file))],
      ..Default::default()
    });
    let url = Url::parse("file:///worker.js")?;
    let code = include_str!("../worker.js");
    let module = runtime.load_main_es_module_from_code(&url, code).await?;
    let evaluated = runtime.mod_evaluate(module);
    runtime
      .run_event_loop(PollEventLoopOptions::default())
      .await?;
    Ok(evaluated.await?)
  })
}

/// Has the words counted, and says what there is.
async fn count(store: &Store) -> Result<()> {
  let counted = key!["counted"];
  let before = number(store.get(&counted).await?)?;
  for word in WORDS {
    store.enqueue(word).await?;
  }

  let mut changes = store.watch(vec![counted])?;
  while let Some(entries) = changes.next().await {
    let entry = entries?.pop().flatten();
    if number(entry)? == before + WORDS.len() as u64 {
      break;
    }
  }
  let counts = Selector::prefix(&key!["count"])?;
  let counts: Vec<_> = store
    .list(counts, ListOptions::default())
    .try_collect()
    .await?;
  for entry in counts {
    println!("{} {}", entry.key, number(Some(entry.clone()))?);
  }

  // One for each worker: who has closed its handle gets no second one.
  for _ in 0..WORKERS {
    store.enqueue(Value::serialize(&["stop"])?).await?;
  }
  Ok(())
}

/// The number under a key, which a script has made with `sum`.
fn number(entry: Option<kv_ext::Entry>) -> Result<u64> {
  match entry {
    None => Ok(0),
    Some(entry) => entry
      .value
      .deserialize()
      .with_context(|| entry.key.to_string()),
  }
}
