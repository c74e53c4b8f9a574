//! `kv get`, `list`, `set`, `delete` and `kv repl`: looking into a database from the shell.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::*;
use tempfile::TempDir;

/// `kv COMMAND… --db data.sqlite3`, in a folder.
fn on(folder: &Path, args: &[&str]) -> Command {
  let mut command = kv(folder);
  command
    .args(args)
    .args(["--db", "data.sqlite3"])
    .current_dir(folder);
  command
}

#[test]
fn what_is_set_is_found_listed_and_deleted() {
  let folder = TempDir::new().unwrap();
  let folder = folder.path();
  let set = success(&mut on(
    folder,
    &["set", r#"["users", "ada"]"#, r#"{ name: "Ada" }"#],
  ));
  assert_eq!(set, "{\"versionstamp\":\"00000000000000010000\"}\n");
  success(&mut on(folder, &["set", "[1n, true]", "-5"]));
  success(&mut on(folder, &["set", "['x']", "undefined"]));

  let ada = "{\"key\":[\"users\",\"ada\"],\"value\":{\"name\":\"Ada\"},\"versionstamp\":\"00000000000000010000\"}\n";
  let get = success(&mut on(folder, &["get", r#"["users", "ada"]"#]));
  assert_eq!(get, ada);
  let list = success(&mut on(folder, &["list"]));
  let lines: Vec<_> = list.lines().collect();
  assert_eq!(lines.len(), 3);
  assert_eq!(format!("{}\n", lines[0]), ada);
  assert!(
    lines[2].starts_with(r#"{"key":[{"$bigint":"1"},true],"value":-5,"#),
    "{list}"
  );
  let users = success(&mut on(folder, &["list", "['users']"]));
  assert_eq!(users, ada);
  let last = success(&mut on(folder, &["list", "--reverse", "--limit", "1"]));
  assert_eq!(last.trim_end(), lines[2]);
  let range = success(&mut on(
    folder,
    &["list", "--start", "['v']", "--end", "['y']"],
  ));
  assert_eq!(range.trim_end(), lines[1]);

  assert_eq!(success(&mut on(folder, &["delete", "['x']"])), "");
  for command in ["get", "delete"] {
    let missing = failure(&mut on(folder, &[command, "['x']"]));
    assert_eq!(missing, "['x'] is not set\n");
  }
}

#[test]
fn every_value_has_a_form_in_json() {
  let folder = TempDir::new().unwrap();
  let value = r#"{
    big: 2n, nothing: undefined, nan: NaN, zero: -0, bytes: new Uint8Array([1, 2]),
    buffer: new ArrayBuffer(1), view: new DataView(new ArrayBuffer(2)), floats: new Float64Array([0.5]),
    date: new Date(0), never: new Date(NaN), regexp: /a/g, map: new Map([[1n, { a: 1 }]]),
    set: new Set([1]), error: new TypeError("no"), boxed: new Number(1), dollar: { $date: 1 },
    array: [1, , "a"], nested: { __proto__: null, a: null }
  }"#;
  success(&mut on(folder.path(), &["set", "[1]", value]));
  let line = success(&mut on(folder.path(), &["get", "[1]"]));
  let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
  assert_eq!(
    entry["value"],
    serde_json::json!({
      "big": { "$bigint": "2" },
      "nothing": { "$undefined": true },
      "nan": { "$number": "NaN" },
      "zero": { "$number": "-0" },
      "bytes": { "$bytes": "AQI=" },
      "buffer": { "$ArrayBuffer": "AA==" },
      "view": { "$DataView": "AAA=" },
      "floats": { "$Float64Array": [0.5] },
      "date": { "$date": "1970-01-01T00:00:00.000Z" },
      "never": { "$date": null },
      "regexp": { "$regexp": ["a", "g"] },
      "map": { "$map": [[{ "$bigint": "1" }, { "a": 1 }]] },
      "set": { "$set": [1] },
      "error": { "$error": { "name": "TypeError", "message": "no" } },
      "boxed": { "$boxed": 1 },
      "dollar": { "$object": { "$date": 1 } },
      "array": [1, { "$undefined": true }, "a"],
      "nested": { "a": null },
    })
  );
  success(&mut on(
    folder.path(),
    &[
      "set",
      "[2]",
      "(() => { const a = {}; a.a = a; return a })()",
    ],
  ));
  let circular = success(&mut on(folder.path(), &["get", "[2]"]));
  assert!(
    circular.contains(r#""value":{"a":{"$circular":true}}"#),
    "{circular}"
  );
  // A build of QuickJS for debugging has no stack for it.
  if cfg!(feature = "quickjs") {
    return;
  }
  let nested = "(() => { let a = []; for (let i = 0; i < 150; i++) a = [a]; return a })()";
  success(&mut on(folder.path(), &["set", "[3]", nested]));
  let deep = success(&mut on(folder.path(), &["get", "[3]"]));
  assert!(deep.contains(r#"[[{"$deep":true}]]"#), "{deep}");
}

/// Makes the stored value of a key one that nothing can read.
fn spoil(folder: &Path, key: &[u8]) {
  let file = rusqlite::Connection::open(folder.join("data.sqlite3")).unwrap();
  let sql = "UPDATE kv SET v = x'ff0f99', v_encoding = 1 WHERE k = ?";
  assert_eq!(file.execute(sql, [key]).unwrap(), 1);
}

#[test]
fn unreadable_value_is_named_rest_is_listed() {
  let folder = TempDir::new().unwrap();
  let folder = folder.path();
  for key in ["['a']", "['b']", "['c']"] {
    success(&mut on(folder, &["set", key, "1"]));
  }
  spoil(folder, b"\x02b\0");
  for order in [&["list"][..], &["list", "--reverse"]] {
    let list = on(folder, order).output().unwrap();
    assert_eq!(list.status.code(), Some(1));
    let (shown, errors) = (stdout(&list), stderr(&list));
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains(r#"["a"]"#) && shown.contains(r#"["c"]"#));
    assert!(
      errors.starts_with("error: ") && errors.contains(r#"["b"]"#),
      "{errors}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
  }
  let get = failure(&mut on(folder, &["get", "['b']"]));
  assert!(get.contains(r#"["b"]"#), "{get}");

  success(&mut on(folder, &["delete", "['b']"]));
  let list = success(&mut on(folder, &["list"]));
  assert_eq!(list.lines().count(), 2, "{list}");
  let again = failure(&mut on(folder, &["delete", "['b']"]));
  assert_eq!(again, "['b'] is not set\n");
}

/// Values of a few bytes, which are large once they are written out.
const LARGE: [(&str, &str); 4] = [
  (
    "dag",
    "(() => { let a = []; for (let i = 0; i < 40; i++) a = [a, a]; return a })()",
  ),
  ("hole", "new Array(2 ** 32 - 1)"),
  (
    "names",
    "Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i]))",
  ),
  ("again", "new Array(500).fill({ text: 'x'.repeat(30_000) })"),
];

#[test]
fn any_value_is_shown_in_a_second_and_a_screenful() {
  let folder = TempDir::new().unwrap();
  let folder = folder.path();
  for (key, value) in LARGE {
    success(&mut on(folder, &["set", &format!("['{key}']"), value]));
  }
  let get = |key: &str| {
    let started = std::time::Instant::now();
    let line = success(&mut on(folder, &["get", &format!("['{key}']")]));
    // A build for debugging on a machine that does other things too.
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
    assert!(line.len() < 400_000, "{key}: {}", line.len());
    let end = line.find(r#","versionstamp""#).unwrap();
    line[line.find(r#""value":"#).unwrap() + 8..end].to_owned()
  };
  assert!(get("dag").contains(r#"{"$repeated":true}"#));
  assert_eq!(
    get("hole"),
    r#"{"$sparse":{"length":4294967295,"elements":[]}}"#
  );
  assert!(get("names").ends_with(r#""k4999":4999}"#));
  let again: serde_json::Value = serde_json::from_str(&get("again")).unwrap();
  assert_eq!(again.as_array().unwrap().len(), 500);
  assert_eq!(again[0], again[1]);
  assert_eq!(again[499], serde_json::json!({ "$repeated": true }));

  let mut input = String::new();
  for (key, _) in LARGE {
    input += &format!("(await kv.get(['{key}'])).value\n");
  }
  // Deeper than any value that `kv` stores; a file written by Deno may hold such a value, and the prompt any object.
  input += "(() => { let a = []; for (let i = 0; i < 3000; i++) a = [a]; return a })()\n";
  let shown = repl(folder, &["--db", "data.sqlite3"], &input);
  assert!(shown.status.success(), "{}", stderr(&shown));
  let shown = stdout(&shown);
  assert!(shown.len() < 5 * 20_500, "{}", shown.len());
  assert!(shown.contains("<4294967295 empty items>"), "{shown}");
  assert!(shown.contains("… 4802 more lines"), "{shown}");
}

#[test]
fn what_is_no_key_no_value_or_no_database_is_said() {
  let folder = TempDir::new().unwrap();
  let folder = folder.path();
  let missing = failure(&mut on(folder, &["list"]));
  assert_eq!(missing, "error: there is no database data.sqlite3\n");
  assert!(!folder.join("data.sqlite3").exists());
  success(&mut on(folder, &["set", "['a']", "1"]));

  let unquoted = failure(&mut on(folder, &["get", "[users]"]));
  assert_eq!(
    unquoted,
    "error: the key [users]: users is not defined: a key is an array, as in '[\"users\", 1n]', in \
     quotes for the shell\n"
  );
  let string = failure(&mut on(folder, &["get", "'users'"]));
  assert!(string.contains("is no array"), "{string}");
  let value = failure(&mut on(folder, &["set", "['a']", "Ada"]));
  assert!(
    value.starts_with("error: the value Ada: Ada is not defined: "),
    "{value}"
  );
  let part = failure(&mut on(folder, &["get", "[{}]"]));
  assert!(
    part.starts_with("error: ") && !part.contains("    at "),
    "{part}"
  );
  let script = failure(
    kv(folder)
      .args(["get", "['a']", "--script", "never_run.ts"])
      .current_dir(folder),
  );
  assert!(script.contains("has no database yet"), "{script}");

  // Another program's database is not made ours.
  let other = rusqlite::Connection::open(folder.join("other.sqlite3")).unwrap();
  other.execute_batch("CREATE TABLE notes (text)").unwrap();
  let commands: [&[&str]; 4] = [
    &["list"],
    &["get", "['a']"],
    &["set", "['a']", "1"],
    &["repl"],
  ];
  for command in commands {
    let mut kv = kv(folder);
    kv.args(command).args(["--db", "other.sqlite3"]);
    let refused = failure(kv.current_dir(folder).stdin(Stdio::null()));
    assert!(
      refused.contains("is a database of another program"),
      "{refused}"
    );
  }
  let tables = "SELECT count(*) FROM sqlite_schema";
  let tables: i64 = other.query_row(tables, [], |row| row.get(0)).unwrap();
  assert_eq!(tables, 1);

  let none = kv(folder).args(["get", "['a']"]).output().unwrap();
  assert_eq!(none.status.code(), Some(2));
  assert!(stderr(&none).contains("<--db <PATH>|--script <FILE>>"));
}

#[test]
fn a_script_s_database_is_found_by_the_script() {
  let folder = TempDir::new().unwrap();
  let script = folder.path().join("app.ts");
  std::fs::write(
    &script,
    "const kv = await Deno.openKv(); await kv.set(['a'], 1, { expireIn: 60_000 });",
  )
  .unwrap();
  success(kv(folder.path()).arg(&script));
  let at = ["--script", script.to_str().unwrap()];
  success(kv(folder.path()).args(["set", "['b']", "2"]).args(at));
  success(
    kv(folder.path())
      .args(["set", "['c']", "3", "--expire-in", "1"])
      .args(at),
  );
  std::thread::sleep(std::time::Duration::from_millis(5));
  let list = success(kv(folder.path()).arg("list").args(at));
  assert_eq!(list.lines().count(), 2, "{list}");
}

#[test]
fn a_list_ends_when_its_output_is_closed() {
  let folder = TempDir::new().unwrap();
  let fill = "const kv = await Deno.openKv('data.sqlite3');
    for (let i = 0; i < 100; i++) {
      const op = kv.atomic();
      for (let j = 0; j < 100; j++) op.set([i, j], 'x'.repeat(1000));
      await op.commit();
    }";
  std::fs::write(folder.path().join("fill.js"), fill).unwrap();
  success(kv(folder.path()).arg("fill.js").current_dir(folder.path()));
  let mut list = on(folder.path(), &["list"])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
  drop(list.stdout.take());
  let output = list.wait_with_output().unwrap();
  assert!(
    output.status.success() && output.stderr.is_empty(),
    "{output:?}"
  );
}

/// What `kv repl` makes of these lines in a pipe.
fn repl(folder: &Path, args: &[&str], input: &str) -> Output {
  let mut repl = kv(folder)
    .arg("repl")
    .args(args)
    .current_dir(folder)
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
  let mut stdin = repl.stdin.take().unwrap();
  stdin.write_all(input.as_bytes()).unwrap();
  drop(stdin);
  repl.wait_with_output().unwrap()
}

#[test]
fn the_prompt_evaluates_piped_input() {
  let folder = TempDir::new().unwrap();
  std::fs::write(
    folder.path().join("m.ts"),
    "export const imported: string = 'from a module';",
  )
  .unwrap();
  let output = repl(
    folder.path(),
    &["--db", "data.sqlite3"],
    "const a: number = 1;
const a = 2, { b, ...c } = { b: 3, d: 4 }
[a, b, c]
(await kv.set(['k'], a)).ok
(await kv.get(['k'])).value
_ + 1
function twice(n: number) {
  return n * 2;
}
class Point { x = 1 }
twice(new Point().x)
{ a: 1 }
import { imported } from './m.ts'
imported
Promise.resolve(1)
await new Promise((done) => setTimeout(done, 1, 'later'))
`a
${a}`
",
  );
  assert!(output.status.success(), "{}", stderr(&output));
  assert_eq!(
    stdout(&output),
    "undefined
undefined
[ 2, 3, { d: 4 } ]
true
2
3
undefined
undefined
2
{ a: 1 }
undefined
\"from a module\"
Promise { 1 }
\"later\"
\"a\\n2\"
"
  );
  let get = success(&mut on(folder.path(), &["get", "['k']"]));
  assert!(get.contains("\"value\":2"), "{get}");
}

#[test]
fn a_prompt_on_an_invalid_file_is_an_error() {
  let folder = TempDir::new().unwrap();
  std::fs::write(folder.path().join("text.txt"), "not a database").unwrap();
  let output = repl(folder.path(), &["--db", "text.txt"], "1\n");
  assert_eq!(output.status.code(), Some(1));
  let error = stderr(&output);
  assert!(
    error.starts_with("error: file is not a database: "),
    "{error}"
  );
  assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn the_prompt_goes_on_after_an_error() {
  let folder = TempDir::new().unwrap();
  let output = repl(
    folder.path(),
    &[],
    "nope
const fails = () => { throw new RangeError('inside') }
fails()
throw new TypeError('mine')
_error.name
1 +* 2
await new Promise(() => {})
await kv.set(['a'], () => {})
(await kv.set(['a'], 1)).ok
",
  );
  assert_eq!(output.status.code(), Some(1));
  assert_eq!(stdout(&output), "undefined\n\"TypeError\"\ntrue\n");
  let errors = stderr(&output);
  for error in [
    "Uncaught ReferenceError: nope is not defined\nUncaught RangeError: inside\n    at fails (<anonymous>:",
    "Uncaught TypeError: mine\n",
    "Uncaught SyntaxError: Expression expected\n",
    "nothing is left that could settle it\n",
    "could not be cloned.\n",
  ] {
    assert!(errors.contains(error), "{error}: {errors}");
  }
}

/// `kv repl` in a terminal, by way of util-linux's `script`.
#[cfg(target_os = "linux")]
struct Terminal {
  child: std::process::Child,
  shown: std::sync::Arc<std::sync::Mutex<String>>,
}

#[cfg(target_os = "linux")]
impl Terminal {
  /// None where there is no `script`.
  fn start(folder: &Path) -> Option<Self> {
    use std::io::Read;

    // Without `exec`, the shell would die of the Ctrl+C that is meant for `kv`.
    let command = format!("exec '{}' repl --db data.sqlite3", env!("CARGO_BIN_EXE_kv"));
    let child = Command::new("script")
      .args(["-qefc", &command, "/dev/null"])
      .current_dir(folder)
      .env("KV_DATA_DIR", folder)
      .env("SHELL", "/bin/sh")
      .env("TERM", "xterm")
      .env_remove("NO_COLOR")
      .stdin(Stdio::piped())
      .stdout(Stdio::piped())
      .spawn();
    let Ok(mut child) = child else {
      eprintln!("not run: there is no script(1) here");
      return None;
    };
    let shown = std::sync::Arc::<std::sync::Mutex<String>>::default();
    let (mut output, sink) = (child.stdout.take().unwrap(), shown.clone());
    std::thread::spawn(move || {
      let mut piece = [0; 4096];
      while let Ok(length @ 1..) = output.read(&mut piece) {
        sink
          .lock()
          .unwrap()
          .push_str(&String::from_utf8_lossy(&piece[..length]));
      }
    });
    Some(Self { child, shown })
  }

  fn types(&mut self, keys: &str) {
    self.shown.lock().unwrap().clear();
    let input = self.child.stdin.as_mut().unwrap();
    input.write_all(keys.as_bytes()).unwrap();
    input.flush().unwrap();
  }

  fn shows(&self, text: &str) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
      let shown = self.shown.lock().unwrap().clone();
      if shown.contains(text) {
        return;
      }
      assert!(std::time::Instant::now() < patience, "{text}: {shown:?}");
      std::thread::sleep(std::time::Duration::from_millis(10));
    }
  }
}

#[cfg(target_os = "linux")]
#[test]
fn terminal_prompt() {
  let folder = TempDir::new().unwrap();
  let Some(mut terminal) = Terminal::start(folder.path()) else {
    return;
  };
  terminal.shows("data.sqlite3, new. Tab completes");
  terminal.types("typeof kv.getM\t");
  terminal.shows("kv.getMany");
  terminal.types("\r");
  // In colour.
  terminal.shows("\u{1b}[32m\"function\"\u{1b}[39m");
  terminal.types("[1,\r");
  terminal.types("2].length\r");
  terminal.shows("\u{1b}[33m2\u{1b}[39m");
  terminal.types("while (true) {}\r");
  std::thread::sleep(std::time::Duration::from_millis(300));
  terminal.types("\u{3}");
  terminal.shows("stopped");
  terminal.types("await new Promise((done) => setTimeout(done, 1e6))\r");
  std::thread::sleep(std::time::Duration::from_millis(300));
  terminal.types("\u{3}");
  terminal.shows("stopped");
  terminal.types("setTimeout(() => console.log('ti' + 'ck'), 50); 'go' + 'es'\r");
  terminal.shows("\"goes\"");
  terminal.shows("tick");
  terminal.types("\u{4}");
  let status = terminal.child.wait().unwrap();
  let shown = terminal.shown.lock().unwrap().clone();
  assert!(status.success(), "{status}: {shown:?}");
  let history = std::fs::read_to_string(folder.path().join("repl_history")).unwrap();
  assert!(history.contains("typeof kv.getMany\n"), "{history}");
}
