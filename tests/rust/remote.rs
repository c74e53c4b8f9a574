//! `kv serve`, and the clients that people use with it: kv, the real Deno, and @deno/kv on Node.

#![allow(
  clippy::expect_used,
  clippy::unwrap_used,
  clippy::panic,
  reason = "a test fails by panicking"
)]
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::*;
use tempfile::TempDir;

const TOKEN: &str = "the-token-of-these-tests";

/// A server at work. Dropping it kills it.
struct Serving {
  child: Child,
  url: String,
}

impl Serving {
  fn start(folder: &Path, args: &[&str]) -> Self {
    let mut command = kv(folder);
    command.env("DENO_KV_ACCESS_TOKEN", TOKEN);
    Self::spawn(command, folder, args)
  }

  fn spawn(mut command: Command, folder: &Path, args: &[&str]) -> Self {
    let mut child = command
      .args(["serve", "--log-level", "warn"])
      .args(args)
      .current_dir(folder)
      .stdout(Stdio::piped())
      .spawn()
      .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().expect("the server has ended").unwrap();
    let url = first.split(" at ").nth(1).unwrap().to_owned();
    Self { child, url }
  }

  fn port(&self) -> &str {
    let end = self.url.rsplit(':').next().unwrap();
    end.split('/').next().unwrap()
  }

  fn signal(&self, name: &str) {
    let id = self.child.id().to_string();
    success(Command::new("kill").args([name, &id]));
  }

  /// Stops it as systemd does; returns its exit code and how long that took.
  fn stop(mut self) -> (Option<i32>, Duration) {
    let started = Instant::now();
    self.signal("-TERM");
    let status = self.child.wait().unwrap();
    (status.code(), started.elapsed())
  }
}

impl Drop for Serving {
  fn drop(&mut self) {
    let _ = self.child.kill();
    let _ = self.child.wait();
  }
}

/// Runs a script on kv.
fn run(folder: &Path, script: &str) -> String {
  success(&mut script_on_kv(folder, script))
}

fn script_on_kv(folder: &Path, script: &str) -> Command {
  let file = tempfile::Builder::new()
    .suffix(".ts")
    .tempfile_in(folder)
    .unwrap();
  std::fs::write(file.path(), script).unwrap();
  let (_, path) = file.keep().unwrap();
  let mut command = kv(folder);
  command
    .arg(path)
    .env("DENO_KV_ACCESS_TOKEN", TOKEN)
    .current_dir(folder);
  command
}

/// The same on the real Deno.
fn run_on_deno(folder: &Path, script: &str) -> Option<String> {
  let mut deno = deno()?;
  std::fs::write(folder.join("deno.json"), "{}").unwrap();
  std::fs::write(folder.join("on_deno.ts"), script).unwrap();
  deno
    .args(["run", "-A", "--unstable-kv", "--no-check", "on_deno.ts"])
    .env("DENO_KV_ACCESS_TOKEN", TOKEN)
    .env("DENO_DIR", folder.join("deno"))
    .current_dir(folder);
  Some(success(&mut deno))
}

/// A session that every client can have.
fn session(open: &str) -> String {
  format!(
    r#"{open}
    const shown = [];
    const entry = (e) => shown.push([e.key, e.value, typeof e.versionstamp]);
    entry(await kv.get(["a"]));
    await kv.set(["a"], {{ text: "é", big: 12n, date: new Date(5), map: new Map([[1, new Set(["x"])]]) }});
    await kv.set(["b", 1], new Uint8Array([1, 2, 255]));
    await kv.set(["b", 2], "two");
    await kv.set(["b", true], [1, , 3]);
    for (const e of await kv.getMany([["a"], ["b", 1], ["none"]])) entry(e);
    for await (const e of kv.list({{ prefix: ["b"] }})) entry(e);
    for await (const e of kv.list({{ prefix: ["b"] }}, {{ reverse: true, limit: 2, batchSize: 1 }})) entry(e);
    await kv.atomic().sum(["n"], 5n).sum(["n"], 2n).max(["x"], 9n).min(["x"], 4n).commit();
    shown.push(String((await kv.get(["n"])).value.value), String((await kv.get(["x"])).value.value));
    const held = await kv.get(["a"]);
    const ok = async (check) => (await kv.atomic().check(check).set(["c"], 1).commit()).ok;
    shown.push(await ok(held), await ok({{ key: ["a"], versionstamp: null }}));
    await kv.delete(["a"]);
    entry(await kv.get(["a"]));
    await kv.set(["soon"], 1, {{ expireIn: 150 }});
    await new Promise((done) => setTimeout(done, 200));
    entry(await kv.get(["soon"]));
    const reader = kv.watch([["w"]]).getReader();
    setTimeout(() => kv.set(["w"], 1), 100);
    let seen;
    do seen = (await reader.read()).value[0].value; while (seen !== 1);
    await reader.cancel();
    const show = (key, value) => typeof value === "bigint" ? `${{value}}n`
      : value instanceof Map ? ["Map", ...value] : value instanceof Set ? ["Set", ...value]
      : value instanceof Uint8Array ? [...value] : value;
    console.log(JSON.stringify(shown, show));
    kv.close();"#
  )
}

fn with_open_kv(url: &str) -> String {
  session(&format!("const kv = await Deno.openKv({url:?});"))
}

#[test]
fn js_tests_pass_on_a_remote_database() {
  let folder = TempDir::new().unwrap();
  let server = Serving::start(folder.path(), &["--dir", ".", "--addr", "127.0.0.1:0"]);
  let url = server.url.trim_end_matches("/NAME");
  let report = success(
    kv(folder.path())
      .arg("test")
      .env("KV_TEST_URL", url)
      .env("DENO_KV_ACCESS_TOKEN", TOKEN)
      .current_dir(repository().join("tests/js")),
  );
  assert!(report.contains("\nok | "), "{report}");
  let databases = std::fs::read_dir(folder.path()).unwrap();
  // Most of the tests were on databases of the server.
  assert!(databases.count() > 90);
}

#[test]
fn every_client_has_the_same_session() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let server = Serving::start(path, &["--dir", ".", "--addr", "127.0.0.1:0"]);
  let url = |name: &str| server.url.replace("NAME", name);
  let local = run(path, &with_open_kv(":memory:"));
  assert_eq!(run(path, &with_open_kv(&url("kv"))), local);
  if let Some(theirs) = run_on_deno(path, &with_open_kv(&url("deno"))) {
    assert_eq!(theirs, local);
  }
  if let Some(node) = node_folder() {
    let open = format!(
      "import {{ openKv }} from '@deno/kv'; const kv = await openKv({:?});",
      url("node")
    );
    let file = node.join(format!("session-{}.mjs", std::process::id()));
    std::fs::write(&file, session(&open)).unwrap();
    let mut command = Command::new("node");
    command
      .arg(&file)
      .env("DENO_KV_ACCESS_TOKEN", TOKEN)
      .current_dir(&node);
    let theirs = success_in_time(command);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(theirs, local);
  }
}

#[test]
fn values_of_kv_are_read_by_node_and_deno() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let server = Serving::start(path, &["kv.sqlite3", "--addr", "127.0.0.1:0"]);
  run(
    path,
    &format!(
      r#"const kv = await Deno.openKv({:?});
      const value = {{ list: [1, -0.5, "é→", 2n ** 70n, null, undefined, true], date: new Date(1e12), re: /a+/gi,
        map: new Map([["k", new Set([1])]]), error: new RangeError("far"), buffer: new Uint8Array([7, 8]).buffer,
        holes: [1, , 3], nested: {{ deep: {{ er: [[]] }} }}, boxed: [new Number(1), new String("s"), new Boolean(false)] }};
      value.self = value;
      await kv.set(["v"], value);
      kv.close();"#,
      server.url
    ),
  );
  let show = r#"const { value } = await kv.get(["v"]);
    const v = value;
    console.log(JSON.stringify([v.list.map(String), v.date.getTime(), String(v.re), [...v.map.get("k")],
      v.error.name, v.error.message, [...new Uint8Array(v.buffer)], 1 in v.holes, v.nested, v.self === v,
      v.boxed.map((b) => [typeof b, b.valueOf()])]));
    kv.close();"#;
  let open = format!("const kv = await Deno.openKv({:?});", server.url);
  let ours = run(path, &format!("{open}{show}"));
  assert!(ours.contains("1180591620717411303424"), "{ours}");
  if let Some(theirs) = run_on_deno(path, &format!("{open}{show}")) {
    assert_eq!(theirs, ours);
  }
  if let Some(node) = node_folder() {
    let file = node.join(format!("values-{}.mjs", std::process::id()));
    let open = format!(
      "import {{ openKv }} from '@deno/kv'; const kv = await openKv({:?});",
      server.url
    );
    std::fs::write(&file, format!("{open}{show}")).unwrap();
    let mut command = Command::new("node");
    command
      .arg(&file)
      .env("DENO_KV_ACCESS_TOKEN", TOKEN)
      .current_dir(&node);
    let theirs = success_in_time(command);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(theirs, ours);
  }
}

/// Deno's client leaves Nagle's algorithm on: against a server that acknowledges late, a call takes 44 ms.
#[cfg(target_os = "linux")]
#[test]
fn deno_does_not_wait_for_late_acknowledgements() {
  let folder = TempDir::new().unwrap();
  let server = Serving::start(folder.path(), &["kv.sqlite3", "--addr", "127.0.0.1:0"]);
  let script = format!(
    "const kv = await Deno.openKv({:?});
    await kv.set(['a'], 1);
    const started = performance.now();
    for (let i = 0; i < 100; i++) await kv.get(['a']);
    console.log(performance.now() - started);
    kv.close();",
    server.url
  );
  if let Some(ms) = run_on_deno(folder.path(), &script) {
    let ms: f64 = ms.trim().parse().unwrap();
    assert!(ms < 2_000.0, "100 calls took {ms} ms");
  }
}

#[test]
fn killed_server_loses_no_write_and_does_none_twice() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let mut server = Serving::start(path, &["kv.sqlite3", "--addr", "127.0.0.1:0"]);
  let addr = format!("127.0.0.1:{}", server.port());
  let script = format!(
    r#"const kv = await Deno.openKv({:?});
    const acknowledged = [];
    let added = 0n;
    console.log("ready");
    await Promise.all(Array.from({{ length: 8 }}, async (_, worker) => {{
      for (let i = 0; i < 125; i++) {{
        await kv.set(["set", worker, i], i);
        acknowledged.push([worker, i]);
        const {{ ok }} = await kv.atomic().sum(["n"], 1n).commit();
        if (ok) added++;
        await new Promise((done) => setTimeout(done, 5));
      }}
    }}));
    let missing = 0;
    for (const [worker, i] of acknowledged) {{
      if ((await kv.get(["set", worker, i])).value !== i) missing++;
    }}
    const {{ value }} = await kv.get(["n"]);
    console.log(acknowledged.length, missing, added === value.value);
    kv.close();"#,
    server.url
  );
  let mut client = script_on_kv(path, &script)
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
  let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
  assert_eq!(lines.next().unwrap().unwrap(), "ready");
  for _ in 0..3 {
    std::thread::sleep(Duration::from_millis(250));
    // SIGKILL.
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(150));
    server = Serving::start(path, &["kv.sqlite3", "--addr", &addr]);
  }
  assert_eq!(lines.next().unwrap().unwrap(), "1000 0 true");
  assert!(client.wait().unwrap().success());
}

#[test]
fn two_servers_and_a_script_share_a_file() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let first = Serving::start(path, &["kv.sqlite3", "--addr", "127.0.0.1:0"]);
  let second = Serving::start(path, &["kv.sqlite3", "--addr", "127.0.0.1:0"]);
  let script = format!(
    r#"const [first, second, file] = await Promise.all(
      [{:?}, {:?}, "kv.sqlite3"].map((name) => Deno.openKv(name)));
    const heard = {{}};
    const readers = Object.entries({{ first, second, file }}).map(([name, kv]) => {{
      const reader = kv.watch([["w"]]).getReader();
      (async () => {{
        for (;;) {{
          const {{ value, done }} = await reader.read();
          if (done) return;
          heard[name] = value[0].value;
        }}
      }})();
      return reader;
    }});
    const until = async (is) => {{
      for (let i = 0; i < 300 && !is(); i++) await new Promise((done) => setTimeout(done, 10));
    }};
    for (const [writer, value] of [[first, 1], [second, 2], [file, 3]]) {{
      await writer.set(["w"], value);
      await until(() => heard.first === value && heard.second === value && heard.file === value);
      console.log(heard.first, heard.second, heard.file);
    }}
    await Promise.all([first, second, file].map(async (kv) => {{
      for (let i = 0; i < 50; i++) await kv.atomic().sum(["n"], 1n).commit();
    }}));
    console.log(String((await second.get(["n"])).value));
    const delivered = [];
    const listening = [first, file].map((kv) => kv.listenQueue((m) => {{ delivered.push(m); }}));
    for (let i = 0; i < 10; i++) await second.enqueue(i);
    await until(() => delivered.length === 10);
    await new Promise((done) => setTimeout(done, 200));
    console.log(delivered.sort().join());
    for (const reader of readers) await reader.cancel();
    for (const kv of [first, second, file]) kv.close();
    await Promise.all(listening);"#,
    first.url, second.url
  );
  assert_eq!(
    run(path, &script),
    "1 1 1\n2 2 2\n3 3 3\n150\n0,1,2,3,4,5,6,7,8,9\n"
  );
}

#[test]
fn sigterm_ends_a_server_with_watchers_and_listeners_in_time() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let server = Serving::start(path, &["kv.sqlite3", "--addr", "127.0.0.1:0"]);
  let script = format!(
    r#"const kv = await Deno.openKv({:?});
    const reader = kv.watch([["w"]]).getReader();
    await reader.read();
    kv.listenQueue(() => {{}});
    console.log("ready");
    await new Promise((done) => setTimeout(done, 60_000));"#,
    server.url
  );
  let mut client = script_on_kv(path, &script)
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
  let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
  assert_eq!(lines.next().unwrap().unwrap(), "ready");
  std::thread::sleep(Duration::from_millis(300));
  let (code, took) = server.stop();
  assert_eq!(code, Some(0));
  assert!(took < Duration::from_secs(4), "{took:?}");
  client.kill().unwrap();
  client.wait().unwrap();
  // The log is in the file.
  assert!(!path.join("kv.sqlite3-wal").exists());
}

#[test]
fn server_says_what_is_wrong_with_its_arguments() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let refused = |args: &[&str]| {
    let mut command = kv(path);
    command.arg("serve").args(args).current_dir(path);
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{args:?}");
    stderr(&output)
  };
  for (args, text) in [
    (&["kv.sqlite3", "--addr", "0.0.0.0:0"][..], "--insecure"),
    (&["none/kv.sqlite3"], "unable to open database file"),
    (
      &["none.sqlite3", "--read-only"],
      "there is no database none.sqlite3",
    ),
    (&["--dir", "none"], "none is not a folder"),
    (
      &["kv.sqlite3", "--token-file", "none"],
      "the token file none: No such file",
    ),
    (&["kv.sqlite3", "--tls-cert", "none"], "--tls-key"),
    (
      &["kv.sqlite3", "--tls-cert", "none", "--tls-key", "none"],
      "none",
    ),
    (&[], "FILE"),
  ] {
    let message = refused(args);
    assert!(message.contains(text), "{args:?}: {message}");
  }
  let mut short = kv(path);
  short
    .args(["serve", "kv.sqlite3"])
    .env("DENO_KV_ACCESS_TOKEN", "short")
    .current_dir(path);
  let message = stderr(&short.output().unwrap());
  assert!(message.contains("at least 16 characters"), "{message}");
}

#[test]
fn made_token_is_kept_and_private() {
  use std::os::unix::fs::PermissionsExt;

  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let start = || {
    let mut command = kv(path);
    command.env_remove("DENO_KV_ACCESS_TOKEN");
    Serving::spawn(command, path, &["kv.sqlite3", "--addr", "127.0.0.1:0"])
  };
  let server = start();
  let file = path.join("kv.sqlite3.token");
  let token = std::fs::read_to_string(&file).unwrap();
  let mode = std::fs::metadata(&file).unwrap().permissions().mode();
  assert_eq!(mode & 0o777, 0o600);
  let set = |url: &str| {
    let mut command = kv(path);
    command
      .args(["set", "[\"a\"]", "1", "--db", url])
      .env("DENO_KV_ACCESS_TOKEN", token.trim());
    success(&mut command)
  };
  set(&server.url);
  server.stop();
  let server = start();
  set(&server.url);
  assert_eq!(std::fs::read_to_string(&file).unwrap(), token);
}

#[test]
fn tokens_are_read_again_on_sighup() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  std::fs::write(path.join("tokens"), format!("{TOKEN}\n")).unwrap();
  let args = [
    "kv.sqlite3",
    "--addr",
    "127.0.0.1:0",
    "--token-file",
    "tokens",
  ];
  let server = Serving::start(path, &args);
  let list = || {
    let mut command = kv(path);
    command
      .args(["list", "--db", &server.url])
      .env("DENO_KV_ACCESS_TOKEN", TOKEN);
    command.output().unwrap()
  };
  assert!(list().status.success());
  std::fs::write(path.join("tokens"), "another-token-0123456789\n").unwrap();
  server.signal("-HUP");
  let mut output = list();
  for _ in 0..50 {
    if !output.status.success() {
      break;
    }
    std::thread::sleep(Duration::from_millis(50));
    output = list();
  }
  let message = stderr(&output);
  assert!(
    message.contains("401 Unauthorized: Invalid access token."),
    "{message}"
  );
  // A file that can't be read leaves everything as it is.
  std::fs::write(path.join("tokens"), "short\n").unwrap();
  server.signal("-HUP");
  std::thread::sleep(Duration::from_millis(200));
  let mut command = kv(path);
  command
    .args(["list", "--db", &server.url])
    .env("DENO_KV_ACCESS_TOKEN", "another-token-0123456789");
  success(&mut command);
}

/// Makes a certificate for localhost, which is its own authority.
fn certificate(path: &Path, name: &str) {
  let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
  std::fs::write(path.join(format!("{name}.pem")), signed.cert.pem()).unwrap();
  std::fs::write(
    path.join(format!("{name}.key")),
    signed.signing_key.serialize_pem(),
  )
  .unwrap();
}

#[test]
fn tls_works_with_every_client() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  certificate(path, "cert");
  let args = [
    "kv.sqlite3",
    "--addr",
    "127.0.0.1:0",
    "--tls-cert",
    "cert.pem",
    "--tls-key",
    "cert.key",
  ];
  let server = Serving::start(path, &args);
  assert!(server.url.starts_with("https://"), "{}", server.url);
  let url = format!("https://localhost:{}", server.port());
  let script = format!(
    "const kv = await Deno.openKv({url:?}); await kv.set(['a'], 1);
     console.log((await kv.get(['a'])).value); kv.close();"
  );
  let mut ours = script_on_kv(path, &script);
  ours.env("SSL_CERT_FILE", path.join("cert.pem"));
  assert_eq!(success(&mut ours), "1\n");
  // Without it, the certificate is nobody's.
  let message = stderr(&script_on_kv(path, &script).output().unwrap());
  assert!(message.contains("certificate"), "{message}");
  if let Some(mut deno) = deno() {
    std::fs::write(path.join("deno.json"), "{}").unwrap();
    std::fs::write(path.join("tls.ts"), &script).unwrap();
    deno
      .args([
        "run",
        "-A",
        "--unstable-kv",
        "--no-check",
        "--cert",
        "cert.pem",
        "tls.ts",
      ])
      .env("DENO_KV_ACCESS_TOKEN", TOKEN)
      .env("DENO_DIR", path.join("deno"))
      .current_dir(path);
    assert_eq!(success(&mut deno), "1\n");
  }
  if let Some(node) = node_folder() {
    let file = node.join(format!("tls-{}.mjs", std::process::id()));
    let script = script.replace("Deno.openKv", "openKv");
    std::fs::write(
      &file,
      format!("import {{ openKv }} from '@deno/kv'; {script}"),
    )
    .unwrap();
    let mut command = Command::new("node");
    command
      .arg(&file)
      .env("DENO_KV_ACCESS_TOKEN", TOKEN)
      .env("NODE_EXTRA_CA_CERTS", path.join("cert.pem"))
      .current_dir(&node);
    assert_eq!(success_in_time(command), "1\n");
    std::fs::remove_file(&file).unwrap();
  }
  // Another certificate, without a restart.
  certificate(path, "other");
  std::fs::rename(path.join("other.pem"), path.join("cert.pem")).unwrap();
  std::fs::rename(path.join("other.key"), path.join("cert.key")).unwrap();
  server.signal("-HUP");
  std::thread::sleep(Duration::from_millis(300));
  let mut ours = script_on_kv(path, &script);
  ours.env("SSL_CERT_FILE", path.join("cert.pem"));
  assert_eq!(success(&mut ours), "1\n");
}

#[test]
fn node_survives_a_stop_of_the_server() {
  let Some(node) = node_folder() else { return };
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let server = Serving::start(path, &["kv.sqlite3", "--addr", "127.0.0.1:0"]);
  let addr = format!("127.0.0.1:{}", server.port());
  let script = format!(
    r#"import {{ openKv }} from "@deno/kv";
    const kv = await openKv({:?});
    const reader = kv.watch([["w"]], {{ raw: true }}).getReader();
    await reader.read();
    console.log("ready");
    for (;;) {{
      const {{ value }} = await reader.read();
      if (value[0].value === "after") break;
    }}
    console.log("heard");
    process.exit(0);"#,
    server.url
  );
  let file = node.join(format!("stop-{}.mjs", std::process::id()));
  std::fs::write(&file, script).unwrap();
  let mut client = Command::new("node")
    .arg(&file)
    .env("DENO_KV_ACCESS_TOKEN", TOKEN)
    .current_dir(&node)
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
  let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
  assert_eq!(lines.next().unwrap().unwrap(), "ready");
  let (code, _) = server.stop();
  assert_eq!(code, Some(0));
  // At once: @deno/kv's watch ends its process if nobody listens when it connects again, half a second later at the
  // earliest.
  let server = Serving::start(path, &["kv.sqlite3", "--addr", &addr]);
  let mut command = kv(path);
  command
    .args(["set", "[\"w\"]", "'after'", "--db", &server.url])
    .env("DENO_KV_ACCESS_TOKEN", TOKEN);
  success(&mut command);
  assert_eq!(lines.next().unwrap().unwrap(), "heard");
  assert!(client.wait().unwrap().success());
  std::fs::remove_file(&file).unwrap();
}
