//! Faults around a database: each ends in a helpful error or does no harm, and never in a panic, a hang, or the loss of
//! an acknowledged write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use support::{kv, success};
use tempfile::TempDir;

/// Runs a script with the database `kv.sqlite3` in a folder; returns what it prints.
fn run(folder: &Path, script: &str) -> String {
  let file = write_script(folder, script);
  success(kv(folder).arg("run").arg(file).current_dir(folder))
}

fn write_script(folder: &Path, script: &str) -> std::path::PathBuf {
  let file = folder.join("script.ts");
  let helpers = "
    const attempt = async (name: string, call: () => Promise<unknown>) => {
      try {
        await call();
        console.log(`${name}: ok`);
      } catch (error) {
        console.log(`${name}: ${error.message}`);
      }
    };
    const kv = await Deno.openKv('kv.sqlite3');
  ";
  fs::write(&file, format!("{helpers}{script}")).unwrap();
  file
}

/// Runs a script in a shell that has set a limit; returns what it prints.
fn run_with_limit(folder: &Path, limit: &str, script: &Path) -> String {
  let mut shell = Command::new("bash");
  shell
    .args(["-c", &format!("{limit}; exec \"$0\" run \"$1\"")])
    .arg(env!("CARGO_BIN_EXE_kv"))
    .arg(script)
    .env("KV_DATA_DIR", folder)
    .env("NO_COLOR", "1")
    .current_dir(folder);
  success(&mut shell)
}

/// A script that runs step by step: the test waits for each line it prints, and it waits for each line from the test.
struct Steps {
  child: Child,
  lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Steps {
  fn start(folder: &Path, script: &str) -> Self {
    let wait = "
      const input = Deno.stdin.readable.getReader();
      const step = () => input.read();
    ";
    let file = write_script(folder, &format!("{wait}{script}"));
    let mut child = kv(folder)
      .arg("run")
      .arg(file)
      .current_dir(folder)
      .stdin(Stdio::piped())
      .stdout(Stdio::piped())
      .spawn()
      .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Self { child, lines }
  }

  fn line(&mut self) -> String {
    self.lines.next().unwrap().unwrap()
  }

  fn go_on(&mut self) {
    let input = self.child.stdin.as_mut().unwrap();
    input.write_all(b"\n").unwrap();
  }

  fn end(mut self) {
    assert!(self.child.wait().unwrap().success());
  }
}

#[test]
fn deleted_file_refuses_writes() {
  let folder = TempDir::new().unwrap();
  let mut steps = Steps::start(
    folder.path(),
    "await attempt('first', () => kv.set(['a'], 1));
     await step();
     await attempt('second', () => kv.set(['a'], 2));
     await attempt('many', () => Promise.all([1, 2, 3].map((i) => kv.set([i], i))));
     const again = await Deno.openKv('kv.sqlite3');
     await attempt('again', () => again.set(['a'], 3));
     console.log((await again.get(['a'])).value);
     again.close();
     kv.close();
     Deno.exit();",
  );
  assert_eq!(steps.line(), "first: ok");
  for file in ["kv.sqlite3", "kv.sqlite3-wal", "kv.sqlite3-shm"] {
    fs::remove_file(folder.path().join(file)).unwrap();
  }
  steps.go_on();
  for name in ["second", "many"] {
    let line = steps.line();
    let expected = format!("{name}: the database file was deleted or replaced while it was open");
    assert!(line.starts_with(&expected), "{line}");
    assert!(line.contains("kv.sqlite3"), "{line}");
  }
  assert_eq!(steps.line(), "again: ok");
  assert_eq!(steps.line(), "3");
  steps.end();
  assert_eq!(
    run(folder.path(), "console.log((await kv.get(['a'])).value);"),
    "3\n"
  );
}

#[test]
fn a_file_damaged_while_open_is_an_error_not_a_crash() {
  type Spoil = fn(&Path);
  let spoils: [Spoil; 2] = [
    |file| {
      let file = fs::OpenOptions::new().write(true).open(file).unwrap();
      file.set_len(1_000).unwrap();
    },
    |file| {
      let length = fs::metadata(file).unwrap().len() as usize;
      let noise: Vec<u8> = (0..length).map(|i| (i * 7 + i / 251) as u8).collect();
      let mut file = fs::OpenOptions::new().write(true).open(file).unwrap();
      file.write_all(&noise).unwrap();
    },
  ];
  for spoil in spoils {
    let folder = TempDir::new().unwrap();
    run(
      folder.path(),
      "for (let i = 0; i < 100; i++) await kv.set([i], 'x'.repeat(1000)); kv.close();",
    );
    let mut steps = Steps::start(
      folder.path(),
      "console.log((await kv.get([1])).value.length);
       await step();
       for (let i = 0; i < 100; i++) {
         try { await kv.get([i]); await kv.set([i], 1); } catch (error) {
           if (!(error instanceof Error) || error.message === '') throw new Error('no message');
         }
       }
       try { for await (const _ of kv.list({ prefix: [] })); } catch {}
       console.log('still here');
       const other = await Deno.openKv(':memory:');
       await other.set(['a'], 1);
       console.log((await other.get(['a'])).value);
       Deno.exit();",
    );
    assert_eq!(steps.line(), "1000");
    spoil(&folder.path().join("kv.sqlite3"));
    steps.go_on();
    assert_eq!(steps.line(), "still here");
    assert_eq!(steps.line(), "1");
    steps.end();
  }
}

#[test]
fn a_torn_wal_loses_only_its_end() {
  let folder = TempDir::new().unwrap();
  let mut steps = Steps::start(
    folder.path(),
    "for (let i = 0; i < 50; i++) await kv.set([i], i);
     console.log('written');
     await step();",
  );
  assert_eq!(steps.line(), "written");
  steps.child.kill().unwrap();
  steps.child.wait().unwrap();
  // The end of the last commit's frames is gone, and noise is in its place.
  let log = folder.path().join("kv.sqlite3-wal");
  let bytes = fs::read(&log).unwrap();
  let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
  let mut torn = bytes[..written - 2_000].to_vec();
  torn.extend([0x5a; 3_000]);
  fs::write(&log, torn).unwrap();
  let printed = run(
    folder.path(),
    "let last = -1;
     for await (const { key, value } of kv.list({ prefix: [] })) {
       if (value !== last + 1 || key[0] !== value) throw new Error(`${value} after ${last}`);
       last = value;
     }
     await kv.set(['works'], true);
     console.log(last);",
  );
  let last: i32 = printed.trim().parse().unwrap();
  assert!((47..49).contains(&last), "{last}");
}

#[test]
fn a_file_size_limit_is_an_error_not_a_crash() {
  let folder = TempDir::new().unwrap();
  let script = write_script(
    folder.path(),
    "await attempt('small', () => kv.set(['a'], 1));
     let stored = 0;
     try {
       for (; stored < 1000; stored++) await kv.set([stored], 'x'.repeat(50_000));
       console.log('no limit');
     } catch (error) {
       console.log(error.message);
     }
     // What was acknowledged is there, and the process goes on.
     let found = 0;
     for await (const _ of kv.list({ prefix: [] })) found++;
     console.log(found === stored + 1);
     kv.close();",
  );
  let printed = run_with_limit(folder.path(), "ulimit -f 2000", &script);
  let lines: Vec<&str> = printed.lines().collect();
  assert_eq!(lines[0], "small: ok");
  assert!(lines[1].contains("kv.sqlite3"), "{printed}");
  assert_eq!(lines[2], "true");
  // Without the limit it works again.
  let printed = run(
    folder.path(),
    "await attempt('again', () => kv.set(['b'], 'x'.repeat(60_000)));",
  );
  assert_eq!(printed, "again: ok\n");
}

#[test]
fn open_recovers_from_fd_exhaustion() {
  let folder = TempDir::new().unwrap();
  let script = write_script(
    folder.path(),
    "const open: Deno.Kv[] = [];
     let message = '';
     try {
       for (let i = 0; i < 100; i++) open.push(await Deno.openKv(`${i}.sqlite3`));
     } catch (error) {
       message = error.message;
     }
     console.log(message.includes('unable to open database file') && message.includes('.sqlite3'), message);
     await attempt('others work', () => open[0].set(['a'], 1));
     while (open.length > 0) open.pop()!.close();
     await attempt('again', async () => (await Deno.openKv('again.sqlite3')).set(['a'], 1));",
  );
  let printed = run_with_limit(folder.path(), "ulimit -n 100", &script);
  let lines: Vec<&str> = printed.lines().collect();
  assert!(lines[0].starts_with("true"), "{printed}");
  assert_eq!(lines[1..], ["others work: ok", "again: ok"]);
}

/// Runs the command on a file system of two megabytes, mounted for it alone at the folder's `disk`; `None` if this user
/// may not mount one.
#[cfg(target_os = "linux")]
fn on_a_small_disk(folder: &Path, command: &str) -> Option<Command> {
  let disk = folder.join("disk");
  fs::create_dir(&disk).unwrap();
  let shell = |command: &str| {
    let mut shell = Command::new("unshare");
    shell
      .args(["--user", "--map-root-user", "--mount", "bash", "-c"])
      .arg(format!(
        "mount -t tmpfs -o size=2m none disk && cd disk && {command}"
      ))
      .current_dir(folder)
      .env("KV_DATA_DIR", folder)
      .env("NO_COLOR", "1");
    shell
  };
  let works = shell("true")
    .output()
    .is_ok_and(|output| output.status.success());
  if !works {
    eprintln!("not run: no file system may be mounted here");
  }
  works.then(|| shell(command))
}

/// Runs `kv` as a user with a limit on threads, which root does not have; `None` unless root runs the test.
#[cfg(target_os = "linux")]
fn with_threads(folder: &Path, limit: u32, script: &Path) -> Option<Output> {
  use std::os::unix::fs::{MetadataExt, PermissionsExt};
  if fs::metadata("/proc/self").unwrap().uid() != 0 {
    eprintln!("not run: only root can become another user");
    return None;
  }
  // For that user to read.
  fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
  let program = folder.join("kv");
  fs::copy(env!("CARGO_BIN_EXE_kv"), &program).unwrap();
  let user = 60_000 + std::process::id() % 5_000;
  let limited = format!("ulimit -u {limit}; exec ./kv run \"$0\"");
  let mut shell = Command::new("setpriv");
  shell
    .arg(format!("--reuid={user}"))
    .args(["--clear-groups", "bash", "-c", &limited])
    .arg(script)
    .env("KV_DATA_DIR", folder)
    .env("NO_COLOR", "1")
    .current_dir(folder);
  Some(shell.output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_threads_are_one_sentence() {
  let folder = TempDir::new().unwrap();
  let script = write_script(folder.path(), "await kv.set(['a'], 1); console.log('set');");
  for limit in 1..=4 {
    let Some(output) = with_threads(folder.path(), limit, &script) else {
      return;
    };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
      error.starts_with("error: ") && error.contains("the limit on processes"),
      "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
  }
  let output = with_threads(folder.path(), 40, &script).unwrap();
  assert_eq!(
    String::from_utf8_lossy(&output.stdout),
    "set\n",
    "{output:?}"
  );
}

#[cfg(target_os = "linux")]
#[test]
fn without_threads_opening_fails_and_works_again() {
  let folder = TempDir::new().unwrap();
  let script = write_script(
    folder.path(),
    "const opened = [kv];
    for (let i = 0; i < 20; i++) {
      await attempt('open', async () => {
        const kv = await Deno.openKv(`${i}.sqlite3`);
        opened.push(kv);
        // Its thread goes on.
        await kv.watch([['a']]).getReader().read();
      });
    }
    for (const kv of opened) kv.close();
    await attempt('again', async () => {
      using kv = await Deno.openKv('20.sqlite3');
      await kv.set(['a'], 1);
    });",
  );
  let Some(output) = with_threads(folder.path(), 12, &script) else {
    return;
  };
  assert!(output.status.success(), "{output:?}");
  let printed = String::from_utf8(output.stdout).unwrap();
  let fails =
    |line: &&str| line.starts_with("open: ") && line.contains("no thread could be started");
  assert!(printed.lines().filter(fails).count() > 5, "{printed}");
  assert!(printed.ends_with("again: ok\n"), "{printed}");
  let rest = printed.lines().filter(|line| !fails(line));
  assert!(
    rest.clone().count() > 1 && rest.clone().all(|line| line.ends_with(": ok")),
    "{printed}"
  );
}

#[cfg(target_os = "linux")]
#[test]
fn bind_mounted_file_is_refused() {
  let folder = TempDir::new().unwrap();
  run(folder.path(), "await kv.set(['a'], 1);");
  fs::write(folder.path().join("other.sqlite3"), "").unwrap();
  let script = "const attempt = (name) => Deno.openKv(name).then((kv) => kv.get(['a'])).then(
      ({ value }) => console.log(value), (error) => console.log(error.message));
    await attempt('other.sqlite3');
    await attempt('kv.sqlite3');
    Deno.exit();";
  fs::write(folder.path().join("mounted.js"), script).unwrap();
  let mut shell = Command::new("unshare");
  shell
    .args(["--user", "--map-root-user", "--mount", "bash", "-c"])
    .arg("mount --bind kv.sqlite3 other.sqlite3 || { echo 'not run'; exit 0; }; exec \"$0\" run mounted.js")
    .arg(env!("CARGO_BIN_EXE_kv"))
    .env("KV_DATA_DIR", folder.path())
    .env("NO_COLOR", "1")
    .current_dir(folder.path());
  let Ok(output) = shell.output() else {
    eprintln!("not run: there is no unshare here");
    return;
  };
  let printed = String::from_utf8(output.stdout).unwrap();
  if printed == "not run\n" || !output.status.success() && printed.is_empty() {
    eprintln!("not run: nothing may be mounted here");
    return;
  }
  let lines: Vec<&str> = printed.lines().collect();
  assert!(
    lines[0].contains("other.sqlite3") && lines[0].contains("mount"),
    "{printed}"
  );
  assert_eq!(lines[1], "1", "{printed}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_until_there_is_room() {
  let folder = TempDir::new().unwrap();
  let script = write_script(
    folder.path(),
    "let stored = 0;
     const fill = async (bytes: number) => {
       try {
         for (;; stored++) await kv.set([stored], 'x'.repeat(bytes));
       } catch (error) {
         return error.message;
       }
     };
     const count = async (from: Deno.Kv) => {
       let found = 0;
       for await (const { key, value } of from.list<string>({ prefix: [] })) {
         if (key[0] !== found++ || value.length === 0) throw new Error(`${key} is ${found}`);
       }
       return found;
     };
     console.log(await fill(20_000));
     console.log(await fill(10));
     await attempt('at once', () => Promise.all([1, 2, 3].map(() => kv.set(['more'], 'x'.repeat(50_000)))));
     await attempt('enqueue', () => kv.enqueue('x'.repeat(50_000)));
     const all = stored;
     console.log('kept', all > 10, await count(kv) === all);
     Deno.removeSync('ballast');
     await attempt('again', async () => {
       await kv.set([stored], 'x'.repeat(20_000));
       stored++;
     });
     console.log('kept', await count(kv) === all + 1);
     kv.close();
     const reopened = await Deno.openKv('kv.sqlite3');
     console.log('kept', await count(reopened) === all + 1);",
  );
  let command = format!(
    "head -c 500000 /dev/zero > ballast && exec {} run {}",
    env!("CARGO_BIN_EXE_kv"),
    script.display()
  );
  let Some(mut shell) = on_a_small_disk(folder.path(), &command) else {
    return;
  };
  let printed = success(&mut shell);
  let lines: Vec<&str> = printed.lines().collect();
  for line in &lines[..4] {
    assert!(
      line.contains("full") && line.contains("kv.sqlite3"),
      "{printed}"
    );
  }
  assert_eq!(
    lines[4..],
    ["kept true true", "again: ok", "kept true", "kept true"]
  );
}

#[cfg(target_os = "linux")]
#[test]
fn clock_changes_stop_nothing() {
  let folder = TempDir::new().unwrap();
  let library = kv_torture::shim::build("clock", folder.path()).unwrap();
  let offset = folder.path().join("offset");
  fs::write(&offset, 0_i64.to_ne_bytes()).unwrap();
  let script = write_script(
    folder.path(),
    "const offset = Deno.openSync('offset', { write: true });
     const setClock = (seconds: number) => {
       offset.seekSync(0, Deno.SeekMode.Start);
       offset.writeSync(new Uint8Array(new BigInt64Array([BigInt(seconds)]).buffer));
     };
     const started = Date.now();
     setClock(100);
     if (Math.abs(Date.now() - started - 100_000) > 50_000) throw new Error('the clock was not set');
     setClock(0);

     for (const store of [kv, await Deno.openKv(':memory:')]) {
       const got: string[] = [];
       const comes = async (message: string) => {
         for (let i = 0; i < 500 && !got.includes(message); i++) {
           await new Promise((done) => setTimeout(done, 20));
         }
         console.log(message, got.filter((other) => other === message).length);
       };
       let release = () => {};
       store.listenQueue(async (message: string) => {
         got.push(message);
         if (message === 'slow') await new Promise<void>((done) => release = done);
       });
       await store.set(['minute'], 1, { expireIn: 60_000 });
       await store.set(['day'], 1, { expireIn: 24 * 3_600_000 });
       await store.enqueue('slow');
       await comes('slow');
       await store.enqueue('in a minute', { delay: 60_000 });
       const before = (await store.set(['stamp'], 1)).versionstamp;

       setClock(3_600);
       await comes('in a minute');
       console.log((await store.get(['minute'])).value, (await store.get(['day'])).value);

       setClock(-3_600);
       await store.enqueue('back');
       await comes('back');
       const after = (await store.set(['stamp'], 2)).versionstamp;
       console.log(after > before, (await store.get(['day'])).value);
       const states = store.watch([['short']]).getReader();
       await states.read();
       await store.set(['short'], 1, { expireIn: 500 });
       await states.read();
       console.log('expired', (await states.read()).value![0].value);

       await comes('slow');
       release();
       setClock(0);
       store.close();
     }",
  );
  let printed = success(
    kv(folder.path())
      .arg("run")
      .arg(script)
      .current_dir(folder.path())
      .env("LD_PRELOAD", &library)
      .env("CLOCK_OFFSET", &offset),
  );
  let each = "slow 1
in a minute 1
null 1
back 1
true 1
expired null
slow 1
";
  assert_eq!(printed, format!("{each}{each}"));
}

#[test]
fn a_hundred_thousand_handles() {
  let folder = TempDir::new().unwrap();
  let printed = run(
    folder.path(),
    "await kv.set(['a'], 1);
     const open: Deno.Kv[] = [];
     for (let i = 0; i < 100_000; i++) open.push(await Deno.openKv('kv.sqlite3'));
     console.log((await open[50_000].get(['a'])).value);
     await open[99_999].set(['a'], 2);
     console.log((await kv.get(['a'])).value);
     for (const handle of open) handle.close();
     await attempt('closed', () => open[7].get(['a']));
     await attempt('open', () => kv.get(['a']));",
  );
  assert_eq!(printed, "1\n2\nclosed: Bad resource ID\nopen: ok\n");
}

/// QuickJS does not tell when an object is gone: there, what is not closed stays open.
#[cfg(not(feature = "quickjs"))]
#[test]
fn databases_that_are_forgotten_are_closed() {
  let folder = TempDir::new().unwrap();
  let printed = run(
    folder.path(),
    "for (let i = 0; i < 6_000; i++) await (await Deno.openKv(':memory:')).set(['a'], i);
     const megabytes = Deno.memoryUsage().rss / 1e6;
     console.log(megabytes < 500 ? 'fine' : `${megabytes} MB`);",
  );
  assert_eq!(printed, "fine\n");
}
