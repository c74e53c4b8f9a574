//! The extensions in the `kv` runtime's snapshot, in order, with their ops and JS.
//!
//! They have their own crate because two programs need the same list: `runtime/build.rs`, which makes the snapshot,
//! and the runtime that starts from it.

mod files;
mod ops;

use std::rc::Rc;
use std::sync::Arc;

use deno_core::Extension;

pub use deno_os::ExitCode;
pub use files::must_not_be_open_as_file;
pub use ops::{OutputGate, Script, TestEvents, TestSink, no_color};

/// The extensions' configuration for one process. None of it goes into the snapshot.
pub struct Config {
  /// The script that runs.
  pub script: Script,
  /// Where the script's databases are.
  pub kv: kv_ext::KvOptions,
  /// What `Deno.exitCode` sets.
  pub exit_code: ExitCode,
}

deno_core::extension!(
  kv_bootstrap,
  deps = [deno_web, deno_fs, deno_io, deno_os, kv_ext],
  ops = [
    ops::op_kv_build,
    ops::op_kv_is_terminal,
    ops::op_kv_no_color,
    ops::op_kv_random_fill,
    ops::op_kv_random_uuid,
    ops::op_kv_script,
    ops::op_kv_test_register,
    ops::op_kv_test_step,
    ops::op_kv_test_step_done,
    ops::op_kv_versions,
  ],
  esm_entry_point = "ext:kv_bootstrap/06_start.js",
  esm = [
    dir "js",
    "01_errors.js",
    "02_globals.js",
    "03_crypto.js",
    "04_deno.js",
    "05_test.js",
    "06_start.js",
  ],
  options = { script: Script },
  middleware = |op| match op.name {
    "op_print" => ops::op_kv_print(),
    _ => op,
  },
  state = |state, options| state.put(options.script),
);

/// The extensions, to make the snapshot of.
pub fn extensions_for_snapshot() -> Vec<Extension> {
  vec![
    deno_webidl::deno_webidl::init(),
    deno_web::deno_web::lazy_init(),
    deno_io::deno_io::lazy_init(),
    deno_fs::deno_fs::lazy_init(),
    deno_os::deno_os::lazy_init(),
    kv_ext::lazy_init(),
    kv_bootstrap::lazy_init(),
  ]
}

/// The same extensions, ready to run.
pub fn extensions(config: Config) -> Vec<Extension> {
  vec![
    deno_webidl::deno_webidl::init(),
    deno_web::deno_web::init(
      Arc::<deno_web::BlobStore>::default(),
      None,
      false,
      deno_web::InMemoryBroadcastChannel::default(),
    ),
    deno_io::deno_io::init(Some(deno_io::Stdio::default())),
    deno_fs::deno_fs::init(Rc::new(files::Files)),
    deno_os::deno_os::init(Some(config.exit_code)),
    kv_ext::init(config.kv),
    kv_bootstrap::init(config.script),
  ]
}

/// Adds the permission state that Deno's ops require. `kv` has no permission system: a script may do whatever its
/// user may.
pub fn allow_all(state: &mut deno_core::OpState) {
  use deno_permissions::{PermissionsContainer, RuntimePermissionDescriptorParser};
  let parser = RuntimePermissionDescriptorParser::new(sys_traits::impls::RealSys);
  state.put(PermissionsContainer::allow_all(Arc::new(parser)));
}

/// Makes `Deno.exit()` close all databases first, so that writes from an `unload` listener are committed and each
/// database ends up as a single file.
pub fn close_databases_on_exit(state: &mut deno_core::OpState) {
  let mut callbacks = deno_os::OpExitCallbacks::default();
  callbacks.push(Box::new(kv_ext::store::sqlite::close_all));
  state.put(callbacks);
}
