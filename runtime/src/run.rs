//! `kv run`

use anyhow::Result;

use crate::cli::RunArgs;
use crate::paths;
use crate::worker::{CallArgument, Worker};

/// Runs a script to its end; returns the exit code.
pub async fn run(args: RunArgs) -> Result<i32> {
  let main_module = paths::module_url(&args.file)?;
  let mut worker = Worker::new(main_module, args.args, |kv| {
    let kv = kv
      .durability(args.durability.into())
      .mmap_size(args.mmap_size);
    match args.cache_size {
      Some(bytes) => kv.cache_size(bytes),
      None => kv,
    }
  })?;
  worker.evaluate_main_module().await?;
  worker.call("dispatchLoad", CallArgument::None).await?;
  loop {
    worker.run_event_loop().await?;
    // A listener may have started more work, and ask for it to be done.
    if !worker.ask("dispatchBeforeUnload").await? {
      break;
    }
  }
  worker.call("dispatchUnload", CallArgument::None).await?;
  Ok(worker.exit_code())
}
