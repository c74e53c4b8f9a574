//! Makes the snapshot that every run starts from: the extensions' JS, evaluated.

use std::path::PathBuf;

fn main() {
  let output = deno_core::snapshot::create_snapshot(
    deno_core::snapshot::CreateSnapshotOptions {
      cargo_manifest_dir: env!("CARGO_MANIFEST_DIR"),
      startup_snapshot: None,
      skip_op_registration: false,
      extensions: kv_bootstrap::extensions_for_snapshot(),
      extension_transpiler: None,
      with_runtime_cb: None,
    },
    None,
  )
  .unwrap_or_else(|error| fail(&error));
  let out_dir = std::env::var_os("OUT_DIR").unwrap_or_else(|| fail(&"OUT_DIR is not set"));
  let path = PathBuf::from(out_dir).join("kv.snapshot");
  std::fs::write(path, output.output).unwrap_or_else(|error| fail(&error));
  for file in output.files_loaded_during_snapshot {
    println!("cargo:rerun-if-changed={}", file.display());
  }
}

/// A build script can only report and stop.
fn fail(error: &dyn std::fmt::Display) -> ! {
  eprintln!("the snapshot could not be made: {error}");
  std::process::exit(1)
}
