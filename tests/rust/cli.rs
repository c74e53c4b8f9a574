//! The `kv` program, as a person uses it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::*;
use tempfile::TempDir;

/// Writes files into a new folder.
fn project(files: &[(&str, &str)]) -> TempDir {
  let folder = TempDir::new().unwrap();
  for (name, text) in files {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
  }
  folder
}

/// Runs a script that is expected to succeed.
fn run(source: &str) -> String {
  let folder = project(&[("main.ts", source)]);
  success(kv(folder.path()).arg("main.ts").current_dir(folder.path()))
}

/// Runs a script that is expected to fail.
fn fail(source: &str) -> String {
  let folder = project(&[("main.ts", source)]);
  failure(
    kv(folder.path())
      .args(["run", "main.ts"])
      .current_dir(folder.path()),
  )
  .replace(&format!("file://{}", folder.path().display()), "file://")
}

#[test]
fn help_names_the_commands_and_version_the_version() {
  let data = TempDir::new().unwrap();
  let help = success(kv(data.path()).arg("--help"));
  for word in ["run", "test", "path", "types", "Examples:"] {
    assert!(help.contains(word), "{word}: {help}");
  }
  assert!(success(kv(data.path()).args(["run", "--help"])).contains("Deno.args"));
  assert!(success(kv(data.path()).args(["test", "--help"])).contains("--filter"));
  let version = success(kv(data.path()).arg("--version"));
  assert_eq!(version, format!("kv {}\n", env!("CARGO_PKG_VERSION")));
  let nothing = kv(data.path()).output().unwrap();
  assert!(nothing.status.code() == Some(2) && stderr(&nothing).contains("Usage:"));
}

#[test]
fn durability_is_full_or_relaxed() {
  let folder = project(&[(
    "a.ts",
    "const kv = await Deno.openKv(); const { value } = await kv.get(['n']);
    await kv.set(['n'], (value ?? 0) + 1); console.log(value);",
  )]);
  let run = |level| {
    let mut command = kv(folder.path());
    command.args(["run", "--durability", level, "a.ts"]);
    command.current_dir(folder.path());
    command
  };
  assert_eq!(success(&mut run("relaxed")), "null\n");
  assert_eq!(success(&mut run("full")), "1\n");
  let output = run("none").output().unwrap();
  let error = stderr(&output);
  assert!(
    error.contains("'none'") && error.contains("full, relaxed"),
    "{error}"
  );
}

/// A database that is larger than SQLite's cache, and a script that reads all of it and prints whether the file is
/// mapped into memory.
#[cfg(target_os = "linux")]
fn large_database() -> TempDir {
  let folder = project(&[
    (
      "fill.ts",
      "const kv = await Deno.openKv('kv.sqlite3');
       for (let i = 0; i < 400; i++) await kv.set([i], new Uint8Array(60_000));
       kv.close();",
    ),
    (
      "read.ts",
      "const kv = await Deno.openKv('kv.sqlite3');
       const read = async () => {
         const all = [];
         for (let i = 0; i < 400; i++) all.push((await kv.get([i])).value.length);
         return all.every((length) => length === 60_000);
       };
       console.log(await read());
       console.log(/kv\\.sqlite3$/m.test(Deno.readTextFileSync('/proc/self/maps')));",
    ),
  ]);
  success(
    kv(folder.path())
      .args(["run", "--durability", "relaxed", "fill.ts"])
      .current_dir(folder.path()),
  );
  folder
}

#[cfg(target_os = "linux")]
#[test]
fn a_database_is_mapped_only_on_request() {
  let folder = large_database();
  let run = |arguments: &[&str]| {
    let mut command = kv(folder.path());
    command.arg("run").args(arguments);
    success(command.current_dir(folder.path()))
  };
  assert_eq!(run(&["read.ts"]), "true\nfalse\n");
  let mapped = ["--mmap-size", "1000000000", "read.ts"];
  assert_eq!(run(&mapped), "true\ntrue\n");
  let cached = ["--cache-size", "100000", "read.ts"];
  assert_eq!(run(&cached), "true\nfalse\n");
}

#[test]
fn arguments_after_the_file_are_the_scripts() {
  let folder = project(&[("a.ts", "console.log(Deno.args.join('|'))")]);
  for form in [vec!["a.ts"], vec!["run", "a.ts"]] {
    let mut command = kv(folder.path());
    command
      .args(form)
      .args(["x", "--help", "-v", "--"])
      .current_dir(folder.path());
    assert_eq!(success(&mut command), "x|--help|-v|--\n");
  }
}

#[test]
fn a_second_run_sees_what_the_first_has_stored() {
  let source = "const kv = await Deno.openKv();
    await kv.atomic().sum(['n'], 1n).commit();
    console.log((await kv.get(['n'])).value.value);";
  let folder = project(&[("a.js", source), ("b.js", source)]);
  let data = folder.path().join("data");
  let run = |script| success(kv(&data).arg(script).current_dir(folder.path()));
  assert_eq!((run("a.js"), run("./a.js")), ("1n\n".into(), "2n\n".into()));
  // Another script has another database.
  assert_eq!(run("b.js"), "1n\n");
  let path = success(kv(&data).args(["path", "a.js"]).current_dir(folder.path()));
  let path = std::path::Path::new(path.trim());
  assert!(path.is_file() && path.ends_with("kv.sqlite3") && path.starts_with(&data));
  let name = std::fs::read_to_string(path.with_file_name("script.txt")).unwrap();
  assert!(
    name.starts_with("file://") && name.trim().ends_with("/a.js"),
    "{name}"
  );
}

#[test]
fn stack_traces_name_the_lines_of_the_typescript() {
  let error = fail(
    "interface Unused {\n  a: number;\n}\n\nfunction boom(x: Unused): never {\n  throw new Error(`no ${x.a}`);\n}\n\nboom({ a: 1 });\n",
  );
  assert_eq!(
    error,
    "error: Uncaught (in promise) Error: no 1
  throw new Error(`no ${x.a}`);
        ^
    at boom (file:///main.ts:6:9)
    at file:///main.ts:9:1\n"
  );
}

#[test]
fn what_ends_a_run_with_an_error() {
  assert!(
    fail("Promise.reject(new TypeError('floating'))")
      .contains("Uncaught (in promise) TypeError: floating")
  );
  assert!(
    fail("setTimeout(() => { throw new RangeError('late') }, 1)")
      .contains("Uncaught RangeError: late")
  );
  assert!(fail("throw { a: [1] }").contains("Uncaught (in promise) { a: [ 1 ] }"));
  assert!(fail("await new Promise(() => {})").contains("Top-level await promise never resolved"));
  assert!(fail("let x: = 5;").contains("main.ts:1:"));
  assert!(
    fail("throw new Error('outer', { cause: new Error('inner') })")
      .contains("Caused by: Error: inner")
  );
  let many = fail("throw new AggregateError([new Error('one'), new TypeError('two')], 'many')");
  assert!(
    many.contains("AggregateError: many\n    Error: one") && many.contains("    TypeError: two"),
    "{many}"
  );
  assert!(fail("import './none.ts'").contains("Module not found \"file:///none.ts\""));
  let data = TempDir::new().unwrap();
  assert!(failure(kv(data.path()).arg("none.ts")).contains("Module not found"));
  assert!(failure(kv(data.path()).arg("https://example.com/a.ts")).contains("only local files"));
}

#[test]
fn exit_codes() {
  let folder = project(&[
    ("exit.ts", "Deno.exit(7)"),
    ("code.ts", "Deno.exitCode = 3"),
    ("unload.ts", "addEventListener('unload', () => console.log('bye')); console.log('hi')"),
    (
      "handled.ts",
      "addEventListener('unhandledrejection', (e) => { e.preventDefault(); console.log('handled') });
       Promise.reject(1);",
    ),
  ]);
  let code = |script| {
    kv(folder.path())
      .arg(script)
      .current_dir(folder.path())
      .status()
      .unwrap()
      .code()
  };
  assert_eq!((code("exit.ts"), code("code.ts")), (Some(7), Some(3)));
  let output = |script| success(kv(folder.path()).arg(script).current_dir(folder.path()));
  assert_eq!(output("unload.ts"), "hi\nbye\n");
  assert_eq!(output("handled.ts"), "handled\n");
}

#[test]
fn modules() {
  let folder = project(&[
    (
      "deno.jsonc",
      r#"{ // A comment.
      "imports": { "lib": "./vendor/lib.ts", "lib/": "./vendor/", "std": "jsr:@std/assert@1" },
      "scopes": { "./vendor/": { "inner": "./vendor/inner.js" } },
    }"#,
    ),
    (
      "vendor/lib.ts",
      "import { n } from 'inner'; export const m: number = n + 1;",
    ),
    ("vendor/inner.js", "export const n = 41;"),
    ("vendor/more.mts", "export default 'more' as string;"),
    ("data.json", r#"{ "a": 1 }"#),
    (
      "src/main.ts",
      "import { m } from 'lib';
       import more from 'lib/more.mts';
       import data from '../data.json' with { type: 'json' };
       import { assertEquals } from 'std';
       import { assert } from 'jsr:@std/assert';
       import * as same from '@std/assert';
       assertEquals(same.assert, assert);
       const { n } = await import('../vendor/inner.js');
       console.log(m, more, data.a, n, import.meta.main);",
    ),
  ]);
  let mut command = kv(folder.path());
  command.arg("src/main.ts").current_dir(folder.path());
  assert_eq!(success(&mut command), "42 more 1 41 true\n");
}

#[test]
fn modules_from_elsewhere_are_refused_with_advice() {
  for specifier in [
    "https://deno.land/x/a.ts",
    "npm:chalk",
    "jsr:@std/path",
    "node:fs",
    "chalk",
  ] {
    let error = fail(&format!("import '{specifier}';"));
    assert!(
      error.contains(specifier.trim_start_matches("npm:")),
      "{error}"
    );
    assert!(error.contains("deno.json"), "{error}");
    let error = fail(&format!("await import('{specifier}');"));
    assert!(error.contains("Uncaught (in promise) TypeError"), "{error}");
  }
  assert!(fail("import './main.json'").contains("Module not found"));
}

#[test]
fn a_broken_configuration_is_named() {
  let folder = project(&[("deno.json", "{ \"imports\": 5 }"), ("a.ts", "")]);
  let error = failure(kv(folder.path()).arg("a.ts").current_dir(folder.path()));
  assert!(error.contains("deno.json"), "{error}");
}

#[test]
fn typescript_that_is_more_than_types() {
  let source = "
    enum Color { Red, Green = 'g' }
    namespace Space { export const x = 1; }
    class Point { constructor(readonly x: number, private y = 2) {} sum() { return this.x + this.y; } }
    const loud = (method: Function, _context: unknown) => () => method() + '!';
    class Decorated { @loud static greet() { return 'hi'; } }
    console.log(Decorated.greet());
    const satisfied = { a: 1 } satisfies Record<string, number>;
    { using resource = { [Symbol.dispose]() { console.log('disposed'); } }; }
    console.log(Color.Red, Color.Green, Space.x, new Point(1).sum(), satisfied!.a as unknown);
  ";
  assert_eq!(run(source), "hi!\ndisposed\n0 g 1 3 1\n");
}

#[cfg(target_os = "linux")]
#[test]
fn signals_end_a_run_at_once_and_the_database_is_whole() {
  for signal in ["INT", "TERM"] {
    let folder = project(&[(
      "main.ts",
      "const kv = await Deno.openKv('kv.sqlite3');
       for (let i = 0;; i++) {
         await kv.atomic().set(['a'], i).set(['b'], i).commit();
         if (i === 20) console.log('ready');
       }",
    )]);
    // The parent of the tests may ignore SIGINT, as a shell does for background jobs. A child inherits that, and `env`
    // resets it.
    let mut command = std::process::Command::new("env");
    let mut child = command
      .args(["--default-signal=INT", "--default-signal=TERM"])
      .args([env!("CARGO_BIN_EXE_kv"), "main.ts"])
      .current_dir(folder.path())
      .stdout(Stdio::piped())
      .spawn()
      .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
      .read_line(&mut line)
      .unwrap();
    assert_eq!(line, "ready\n");
    let started = Instant::now();
    success(
      std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]),
    );
    let status = loop {
      match child.try_wait().unwrap() {
        Some(status) => break status,
        None if started.elapsed() > Duration::from_secs(2) => {
          child.kill().unwrap();
          panic!("SIG{signal} did not end it");
        }
        None => std::thread::sleep(Duration::from_millis(5)),
      }
    };
    assert!(!status.success());
    let check = "const kv = await Deno.openKv('kv.sqlite3');
      const [a, b] = await kv.getMany([['a'], ['b']]);
      console.log(a.value >= 20 && a.value === b.value && a.versionstamp === b.versionstamp);";
    std::fs::write(folder.path().join("check.ts"), check).unwrap();
    let mut command = kv(folder.path());
    command.arg("check.ts").current_dir(folder.path());
    assert_eq!(success(&mut command), "true\n");
  }
}

#[test]
fn a_signal_listener_is_called_instead() {
  let folder = project(&[(
    "main.ts",
    "const timer = setInterval(() => {}, 1000);
     Deno.addSignalListener('SIGTERM', () => { console.log('heard'); clearInterval(timer); });
     console.log('ready');",
  )]);
  let mut command = kv(folder.path());
  let mut child = command
    .arg("main.ts")
    .current_dir(folder.path())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
  let mut output = BufReader::new(child.stdout.take().unwrap());
  let mut line = String::new();
  output.read_line(&mut line).unwrap();
  success(std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]));
  let mut rest = String::new();
  output.read_to_string(&mut rest).unwrap();
  assert_eq!((line.as_str(), rest.as_str()), ("ready\n", "heard\n"));
  assert!(child.wait().unwrap().success());
}

#[test]
fn two_processes_share_a_database() {
  let folder = project(&[(
    "main.ts",
    "const kv = await Deno.openKv('kv.sqlite3');
     for (let i = 0; i < 100; i++) await kv.atomic().sum(['n'], 1n).commit();
     kv.close();",
  )]);
  let start = || {
    let mut command = kv(folder.path());
    command
      .arg("main.ts")
      .current_dir(folder.path())
      .spawn()
      .unwrap()
  };
  let children = [start(), start(), start()];
  for mut child in children {
    assert!(child.wait().unwrap().success());
  }
  let count =
    "const kv = await Deno.openKv('kv.sqlite3'); console.log((await kv.get(['n'])).value.value)";
  std::fs::write(folder.path().join("count.ts"), count).unwrap();
  let mut command = kv(folder.path());
  command.arg("count.ts").current_dir(folder.path());
  assert_eq!(success(&mut command), "300n\n");
}

#[test]
fn a_closed_output_pipe_is_no_error() {
  let folder = project(&[("a.ts", "for (let i = 0; i < 100_000; i++) console.log(i)")]);
  let mut command = kv(folder.path());
  let mut child = command
    .arg("a.ts")
    .current_dir(folder.path())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
  drop(child.stdout.take());
  let output = child.wait_with_output().unwrap();
  assert!(output.status.success(), "{}", stderr(&output));
  assert_eq!(stderr(&output), "");
}

const TESTS: &str = "
import { assertEquals } from '@std/assert';
Deno.test('passes', () => {});
Deno.test('prints', () => console.log('printed'));
Deno.test('fails', () => assertEquals({ a: 1, b: 2 }, { a: 1, b: 3 }));
Deno.test('ignored', { ignore: true }, () => {});
Deno.test('steps', async (t) => {
  await t.step('inner', () => { throw new Error('in a step'); });
});
Deno.test('hangs', () => new Promise(() => {}));
";

#[test]
fn the_report_of_a_test_run() {
  let folder = project(&[
    ("a_test.ts", TESTS),
    ("sub/b.test.js", "Deno.test('b', () => {})"),
  ]);
  let mut command = kv(folder.path());
  let output = command
    .arg("test")
    .current_dir(folder.path())
    .output()
    .unwrap();
  assert_eq!(output.status.code(), Some(1));
  assert_eq!(stderr(&output), "error: Test failed\n");
  // Times vary.
  let times = regex::Regex::new(r"\(\d+(µs|ms|s)\)").unwrap();
  let report = times.replace_all(&stdout(&output), "(T)").into_owned();
  let report = report.replace(&folder.path().display().to_string(), "");
  let frames = regex::Regex::new(r"(?m)^    at .*assert\.js.*\n|^    at .*kv:std.*\n").unwrap();
  let report = frames.replace_all(&report, "").into_owned();
  assert_eq!(
    report,
    "running 6 tests from ./a_test.ts
passes ... ok (T)
prints ...
------- output -------
printed
----- output end -----
prints ... ok (T)
fails ... FAILED (T)
ignored ... ignored (T)
steps ...
  inner ... FAILED (T)
steps ... FAILED (due to 1 failed step) (T)
hangs ... FAILED (T)
running 1 test from ./sub/b.test.js
b ... ok (T)

 ERRORS 

fails => ./a_test.ts:5:6
error: AssertionError: Values are not equal.


    [Diff] Actual / Expected


    {
      a: 1,
-     b: 2,
+     b: 3,
    }

    at Object.fn (file:///a_test.ts:5:26)

steps ... inner => ./a_test.ts:8:11
error: Error: in a step
  await t.step('inner', () => { throw new Error('in a step'); });
                                      ^
    at Object.fn (file:///a_test.ts:8:39)
    at Object.fn (file:///a_test.ts:8:11)

hangs => ./a_test.ts:10:6
error: Promise resolution is still pending but the event loop has already resolved.

 FAILURES 

fails => ./a_test.ts:5:6
steps ... inner => ./a_test.ts:8:11
hangs => ./a_test.ts:10:6

FAILED | 3 passed | 3 failed (1 step) | 1 ignored (T)

"
  );
}

#[test]
fn choosing_tests() {
  let folder = project(&[("a_test.ts", TESTS), ("helper.ts", "throw 1")]);
  let test = |args: &[&str]| {
    let mut command = kv(folder.path());
    let output = command
      .arg("test")
      .args(args)
      .current_dir(folder.path())
      .output()
      .unwrap();
    (output.status.code(), stdout(&output), stderr(&output))
  };
  let (code, report, _) = test(&["--filter", "pass"]);
  assert!(
    code == Some(0) && report.contains("ok | 1 passed | 0 failed | 5 filtered out"),
    "{report}"
  );
  let (code, report, _) = test(&["--filter", "/^(passes|prints)$/"]);
  assert!(code == Some(0) && report.contains("2 passed"), "{report}");
  let (code, report, _) = test(&["--fail-fast"]);
  assert!(
    code == Some(1) && report.contains("2 passed | 1 failed"),
    "{report}"
  );
  let (code, report, _) = test(&["--fail-fast=2", "."]);
  assert!(code == Some(1) && report.contains("2 failed"), "{report}");
  let (code, _, error) = test(&["none"]);
  assert!(code == Some(1) && error.contains("none"), "{error}");
  std::fs::write(
    folder.path().join("only_test.ts"),
    "Deno.test.only('x', () => {}); Deno.test('y', () => {});",
  )
  .unwrap();
  let (code, report, error) = test(&["only_test.ts"]);
  assert!(
    code == Some(1) && report.contains("1 passed | 0 failed | 1 filtered out"),
    "{report}"
  );
  assert!(error.contains("\"only\" option"), "{error}");
}

#[test]
fn tests_that_never_end_are_reported() {
  let source = "
    Deno.test('spins', () => { while (true); });
    Deno.test('after', () => {});";
  let waits = "
    Deno.test('waits', () => new Promise(() => setInterval(() => {}, 10)));
    Deno.test('after', () => {});";
  let folder = project(&[
    ("a_test.ts", source),
    ("b_test.ts", waits),
    ("c_test.ts", "while (true);"),
  ]);
  let mut command = kv(folder.path());
  let output = command
    .args(["test", "--timeout", "1"])
    .current_dir(folder.path())
    .output()
    .unwrap();
  let report = stdout(&output);
  assert_eq!(output.status.code(), Some(1), "{report}");
  assert!(
    report.contains("spins ... FAILED") && report.contains("after ... cancelled"),
    "{report}"
  );
  assert!(
    report.contains("waits ... FAILED") && report.contains("after ... ok"),
    "{report}"
  );
  assert!(report.contains("did not end within 1 seconds"), "{report}");
  assert!(
    report.contains("Uncaught error from ./c_test.ts"),
    "{report}"
  );
}

#[test]
fn uncaught_errors_fail_their_file() {
  let folder = project(&[
    (
      "a_test.ts",
      "Deno.test('x', async () => { Promise.reject(new Error('dangling')); await new Promise((r) => setTimeout(r, 20)); }); Deno.test('y', () => {});",
    ),
    ("b_test.ts", "throw new Error('at the top')"),
    (
      "c_test.ts",
      "Deno.test('exits', () => Deno.exit(0)); Deno.test('z', () => {});",
    ),
  ]);
  let mut command = kv(folder.path());
  let output = command
    .arg("test")
    .current_dir(folder.path())
    .output()
    .unwrap();
  let report = stdout(&output);
  assert_eq!(output.status.code(), Some(1), "{report}");
  for text in [
    "Uncaught error from ./a_test.ts FAILED",
    "error: (in promise) Error: dangling",
    "Uncaught error from ./b_test.ts FAILED",
    "error: (in promise) Error: at the top",
    "attempted to exit with exit code: 0",
    "z ... ok",
  ] {
    assert!(report.contains(text), "{text}: {report}");
  }
}

#[test]
fn the_first_mistakes_of_a_new_user() {
  let first = "const kv = await Deno.openKv(':memory:');";
  for (call, message) in [
    (
      "await kv.get('users')",
      "TypeError: Key must be an array: received string",
    ),
    (
      "await kv.set(['a', null], 1)",
      "TypeError: expected string, number, bigint, ArrayBufferView, boolean",
    ),
    (
      "await kv.set(['a'], 'x'.repeat(70_000))",
      "TypeError: Value too large (max 65536 bytes)",
    ),
    (
      "await Deno.openKv('/none/at/all/kv.db')",
      "unable to open database file: /none/at/all/kv.db: the folder /none/at/all does not exist",
    ),
    ("await Deno.openKv('main.ts')", "file is not a database"),
    (
      "await kv.atomic().set(['a'], 1)",
      "did you forget to call 'commit()'",
    ),
    (
      "await kv.enqueue(1, { delay: -1 })",
      "TypeError: Delay must be >= 0: received -1",
    ),
  ] {
    let error = fail(&format!(
      "{first}\n{call} as any;\n{}",
      "// padding\n".repeat(100)
    ));
    assert!(error.contains(message), "{call}: {error}");
    assert!(error.contains("main.ts:2:"), "{call}: {error}");
  }
}

/// `kv` as an unprivileged user, since root may write everything.
#[cfg(target_os = "linux")]
fn kv_as_nobody(data: &std::path::Path) -> std::process::Command {
  let mut command = std::process::Command::new("setpriv");
  command
    .args([
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      env!("CARGO_BIN_EXE_kv"),
    ])
    .env("KV_DATA_DIR", data)
    .env("NO_COLOR", "1");
  command
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_only_be_read() {
  use std::os::unix::fs::PermissionsExt;
  // Only root can become another user.
  if !success(std::process::Command::new("id").arg("-u")).starts_with("0\n") {
    eprintln!("not run: this test needs to change its user");
    return;
  }
  let folder = project(&[
    (
      "make.ts",
      "const kv = await Deno.openKv('kv.sqlite3'); await kv.set(['a'], 1); kv.close();",
    ),
    (
      "read.ts",
      "const kv = await Deno.openKv('kv.sqlite3');
       console.log((await kv.get(['a'])).value);
       try { await kv.set(['a'], 2); } catch (e) { console.log(`${e.name}: ${e.message}`); }",
    ),
  ]);
  success(kv(folder.path()).arg("make.ts").current_dir(folder.path()));
  let allow = |name: &str, mode| {
    let path = folder.path().join(name);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
  };
  allow("kv.sqlite3", 0o444);
  allow("", 0o777);
  let read = || {
    let mut command = kv_as_nobody(folder.path());
    command.arg("read.ts").current_dir(folder.path());
    command
  };
  let output = success(&mut read());
  assert!(
    output.starts_with("1\nTypeError: Can not write to a read-only database: "),
    "{output}"
  );
  // Where the log's files are already there, reading works. Without them:
  for name in ["kv.sqlite3-wal", "kv.sqlite3-shm"] {
    let _ = std::fs::remove_file(folder.path().join(name));
  }
  allow("", 0o755);
  let error = failure(&mut read());
  assert!(
    error.contains("the folder it is in can't be written"),
    "{error}"
  );
  allow("kv.sqlite3", 0o000);
  let error = failure(&mut read());
  assert!(
    error.contains("unable to open database file") && error.contains("Permission denied"),
    "{error}"
  );
}

#[test]
fn a_module_that_a_later_import_reaches_again() {
  let folder = project(&[
    (
      "a.ts",
      "import { b } from './b.ts'; export const a = `a${b}`;",
    ),
    ("b.ts", "export const b = 'b';"),
    (
      "c.ts",
      "import { a } from './a.ts'; export const c = `c${a}`;",
    ),
    (
      "main.ts",
      "import { a } from './a.ts'; const { c } = await import('./c.ts'); console.log(a, c);",
    ),
  ]);
  let mut command = kv(folder.path());
  command.arg("main.ts").current_dir(folder.path());
  assert_eq!(success(&mut command), "ab cab\n");
}

#[test]
fn open_database_is_not_opened_as_file() {
  let folder = project(&[(
    "a.ts",
    "const file = Deno.openSync('early.sqlite3', { create: true, write: true });
     const attempt = async (what) => {
       try { await what(); console.log('fine'); } catch (e) { console.log(e.name); }
     };
     await attempt(() => Deno.openKv('early.sqlite3'));
     file.close();
     await attempt(() => Deno.openKv('early.sqlite3'));
     const kv = await Deno.openKv('kv.sqlite3');
     await kv.set([1], 1);
     Deno.writeTextFileSync('other', '');
     Deno.symlinkSync('kv.sqlite3', 'link');
     for (const name of ['kv.sqlite3', 'kv.sqlite3-wal', 'kv.sqlite3-shm', 'link']) {
       await attempt(() => Deno.readFile(name));
       await attempt(() => Deno.openSync(name));
       await attempt(() => Deno.copyFile(name, 'copy'));
       await attempt(() => Deno.copyFileSync('other', name));
       await attempt(() => Deno.truncate(name));
       await attempt(() => Deno.writeTextFile(name, ''));
     }
     await attempt(() => Deno.stat('kv.sqlite3'));
     kv.close();
     await attempt(() => Deno.readFile('kv.sqlite3'));",
  )]);
  let mut command = kv(folder.path());
  let printed = success(command.args(["run", "a.ts"]).current_dir(folder.path()));
  let expected = format!("Error\nfine\n{}fine\nfine\n", "Error\n".repeat(24));
  assert_eq!(printed, expected);
}

#[test]
fn exit_keeps_what_was_written_and_leaves_one_file() {
  let folder = project(&[
    (
      "a.ts",
      "const kv = await Deno.openKv('kv.sqlite3');
       kv.listenQueue(() => {});
       const late = await Deno.openKv('kv.sqlite3');
       addEventListener('unload', () => { for (let i = 0; i < 30; i++) late.set(['late', i], i); });
       await kv.set(['early'], 1);
       kv.close();
       Deno.exit(3);",
    ),
    (
      "b.ts",
      "const kv = await Deno.openKv('kv.sqlite3');
       let found = 0;
       for await (const _ of kv.list({ prefix: [] })) found++;
       console.log(found);",
    ),
  ]);
  let mut command = kv(folder.path());
  let output = command.args(["run", "a.ts"]).current_dir(folder.path());
  assert_eq!(output.output().unwrap().status.code(), Some(3));
  for name in ["kv.sqlite3-wal", "kv.sqlite3-shm"] {
    assert!(!folder.path().join(name).exists(), "{name}");
  }
  let mut command = kv(folder.path());
  let printed = success(command.args(["run", "b.ts"]).current_dir(folder.path()));
  assert_eq!(printed, "31\n");
}

#[cfg(unix)]
#[test]
fn names_of_databases_are_read_as_deno_reads_them() {
  let folder = project(&[(
    "a.ts",
    "try {
       const kv = await Deno.openKv(Deno.args[0]);
       await kv.set([1], 1);
       console.log('fine');
     } catch (error) { console.log(error.message); }",
  )]);
  let run = |environment: &[(&str, &str)], name: &[&str]| {
    let mut command = kv(folder.path());
    command.envs(environment.iter().copied());
    success(
      command
        .args(["run", "a.ts"])
        .args(name)
        .current_dir(folder.path()),
    )
  };
  let exists = |name: &str| folder.path().join(name).exists();
  assert_eq!(run(&[], &["file:app.db"]), "fine\n");
  assert!(exists("app.db"));
  assert!(run(&[], &["folder/"]).contains("it is a folder"));
  assert_eq!(
    run(&[("DENO_KV_DEFAULT_PATH", "default.db")], &[]),
    "fine\n"
  );
  assert!(exists("default.db"));
  let prefix = ("DENO_KV_PATH_PREFIX", "pre-");
  assert_eq!(run(&[prefix], &["x"]), "fine\n");
  assert_eq!(run(&[prefix, ("DENO_KV_DEFAULT_PATH", "y")], &[]), "fine\n");
  assert!(exists("pre-x") && exists("pre-y"));
  // The default folder may lie behind a link, since the user did not name that path.
  std::fs::create_dir(folder.path().join("home")).unwrap();
  std::os::unix::fs::symlink("home", folder.path().join("link")).unwrap();
  let data = folder.path().join("link");
  assert_eq!(
    run(&[("KV_DATA_DIR", data.to_str().unwrap())], &[]),
    "fine\n"
  );
  assert!(run(&[], &["link/app.db"]).contains("is a symbolic link"));
}
