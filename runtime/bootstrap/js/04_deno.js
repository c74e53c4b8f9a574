// The Deno namespace: what scripts and tests around a store use of it.

import { core, primordials } from "ext:core/mod.js";
import {
  op_kv_build,
  op_kv_is_terminal,
  op_kv_no_color,
  op_kv_script,
  op_kv_versions,
  op_runtime_memory_usage,
} from "ext:core/ops";
import { errors } from "ext:kv_bootstrap/01_errors.js";
import { consoleModule, timers } from "ext:kv_bootstrap/02_globals.js";
import { test } from "ext:kv_bootstrap/05_test.js";

const { Float64Array, ObjectDefineProperties, ObjectFreeze, SymbolFor } =
  primordials;

const fs = core.loadExtScript("ext:deno_fs/30_fs.js");
const io = core.loadExtScript("ext:deno_io/12_io.js");
const os = core.loadExtScript("ext:deno_os/30_os.js");
const signals = core.loadExtScript("ext:deno_os/40_signals.js");

const memory = new Float64Array(4);

function memoryUsage() {
  op_runtime_memory_usage(memory);
  return {
    rss: memory[0],
    heapTotal: memory[1],
    heapUsed: memory[2],
    external: memory[3],
  };
}

const namespace = {
  // Put there by kv_ext.
  ...globalThis.Deno,
  core: undefined,
  // Files.
  chdir: fs.chdir,
  chmod: fs.chmod,
  chmodSync: fs.chmodSync,
  copyFile: fs.copyFile,
  copyFileSync: fs.copyFileSync,
  create: fs.create,
  createSync: fs.createSync,
  cwd: fs.cwd,
  FsFile: fs.FsFile,
  link: fs.link,
  linkSync: fs.linkSync,
  lstat: fs.lstat,
  lstatSync: fs.lstatSync,
  makeTempDir: fs.makeTempDir,
  makeTempDirSync: fs.makeTempDirSync,
  makeTempFile: fs.makeTempFile,
  makeTempFileSync: fs.makeTempFileSync,
  mkdir: fs.mkdir,
  mkdirSync: fs.mkdirSync,
  open: fs.open,
  openSync: fs.openSync,
  readDir: fs.readDir,
  readDirSync: fs.readDirSync,
  readFile: fs.readFile,
  readFileSync: fs.readFileSync,
  readLink: fs.readLink,
  readLinkSync: fs.readLinkSync,
  readTextFile: fs.readTextFile,
  readTextFileSync: fs.readTextFileSync,
  realPath: fs.realPath,
  realPathSync: fs.realPathSync,
  remove: fs.remove,
  removeSync: fs.removeSync,
  rename: fs.rename,
  renameSync: fs.renameSync,
  SeekMode: io.SeekMode,
  stat: fs.stat,
  statSync: fs.statSync,
  symlink: fs.symlink,
  symlinkSync: fs.symlinkSync,
  truncate: fs.truncate,
  truncateSync: fs.truncateSync,
  writeFile: fs.writeFile,
  writeFileSync: fs.writeFileSync,
  writeTextFile: fs.writeTextFile,
  writeTextFileSync: fs.writeTextFileSync,
  // The process.
  addSignalListener: signals.addSignalListener,
  removeSignalListener: signals.removeSignalListener,
  env: os.env,
  execPath: os.execPath,
  exit: os.exit,
  hostname: os.hostname,
  memoryUsage,
  stderr: io.stderr,
  stdin: io.stdin,
  stdout: io.stdout,
  // The rest.
  errors,
  inspect: consoleModule.inspect,
  refTimer: timers.refTimer,
  test,
  unrefTimer: timers.unrefTimer,
};
delete namespace.core;

/** Deno.internal names a symbol, in Deno, under which test tools look for more. */
const internalSymbol = SymbolFor("Deno.internal");

/** What is known only once the process runs: a snapshot must not hold it. */
function startNamespace() {
  const script = op_kv_script();
  ObjectDefineProperties(namespace, {
    args: core.propReadOnly(ObjectFreeze(script.args)),
    build: core.propReadOnly(ObjectFreeze(op_kv_build())),
    exitCode: {
      __proto__: null,
      get: os.getExitCode,
      set: os.setExitCode,
      enumerable: true,
      configurable: true,
    },
    internal: core.propNonEnumerable(internalSymbol),
    mainModule: core.propReadOnly(script.mainModule),
    noColor: core.propReadOnly(op_kv_no_color()),
    pid: core.propReadOnly(script.pid),
    ppid: core.propReadOnly(script.ppid),
    version: core.propReadOnly(ObjectFreeze(op_kv_versions())),
  });
  consoleModule.setNoColorFns(
    () => op_kv_no_color() || !op_kv_is_terminal(false),
    () => op_kv_no_color() || !op_kv_is_terminal(true),
  );
  return namespace;
}

export { startNamespace };
