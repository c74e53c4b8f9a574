//! Several processes on one file: queues, watchers, and a process that is killed.

#![allow(
  clippy::unwrap_used,
  clippy::panic,
  reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use support::*;
use tempfile::TempDir;

/// A script at work; what it prints comes line by line.
struct Process {
  child: Running,
  lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
  fn start(folder: &Path, script: &str) -> Self {
    let file = folder.join(format!("{}.ts", script.len()));
    std::fs::write(&file, script).unwrap();
    let mut child = kv(folder)
      .arg(&file)
      .current_dir(folder)
      .stdout(Stdio::piped())
      .spawn()
      .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let child = Running(child);
    Self { child, lines }
  }

  /// The next line.
  fn line(&mut self) -> String {
    match self.lines.next() {
      Some(line) => line.unwrap(),
      None => panic!("the process has ended"),
    }
  }
}

/// A process that is killed when it is dropped, with SIGKILL, so that it can't clean up.
struct Running(Child);

impl Drop for Running {
  fn drop(&mut self) {
    let _ = self.0.kill();
    let _ = self.0.wait();
  }
}

const OPEN: &str = "const kv = await Deno.openKv('kv.sqlite3');";

/// Counts how often two listening processes deliver a message whose handler takes nine seconds, while the test holds
/// the write lock for `held`, from `after` on.
fn deliveries_beside_a_lock(held: Duration, after: Duration) -> usize {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let listen = "kv.listenQueue(async () => {
    console.log('delivered');
    await new Promise((done) => setTimeout(done, 9_000));
    console.log('done');
  });";
  let mut first = Process::start(
    path,
    &format!("{OPEN} {listen} await kv.enqueue('message', {{ backoffSchedule: [] }});"),
  );
  assert_eq!(first.line(), "delivered");
  let mut second = Process::start(path, &format!("{OPEN} {listen} console.log('listens');"));
  assert_eq!(second.line(), "listens");

  std::thread::sleep(after);
  let holder = rusqlite::Connection::open(path.join("kv.sqlite3")).unwrap();
  holder.busy_timeout(Duration::from_secs(5)).unwrap();
  holder.execute_batch("BEGIN IMMEDIATE").unwrap();
  std::thread::sleep(held);
  holder.execute_batch("COMMIT").unwrap();

  assert_eq!(first.line(), "done");
  // A process that reclaims the message would have delivered it again by now.
  std::thread::sleep(Duration::from_secs(2));
  drop(second.child);
  1 + second
    .lines
    .filter(|line| line.as_ref().unwrap() == "delivered")
    .count()
}

#[test]
fn long_lock_duplicates_no_message() {
  let locks = [(3_000, 0), (3_000, 700), (7_000, 0), (7_000, 700)];
  let pairs = locks.map(|(held, after)| {
    let (held, after) = (Duration::from_millis(held), Duration::from_millis(after));
    std::thread::spawn(move || deliveries_beside_a_lock(held, after))
  });
  let deliveries = pairs.map(|pair| pair.join().unwrap());
  assert_eq!(deliveries, [1; 4]);
}

#[test]
fn killed_process_messages_are_reclaimed_within_six_seconds() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  // Takes all messages, and never finishes one.
  let mut doomed = Process::start(
    path,
    &format!(
      "{OPEN}
      kv.listenQueue((message) => {{ console.log(message); return new Promise(() => {{}}); }});
      for (let i = 0; i < 20; i++) await kv.enqueue(i, {{ backoffSchedule: [] }});
      setInterval(() => {{}}, 1000);"
    ),
  );
  for _ in 0..20 {
    doomed.line();
  }
  let mut heir = Process::start(
    path,
    &format!("{OPEN} console.log('listens'); await kv.listenQueue((m) => console.log(m));"),
  );
  assert_eq!(heir.line(), "listens");
  // While the doomed process lives, it renews its lease and keeps its messages.
  std::thread::sleep(Duration::from_millis(5_500));
  drop(doomed);
  let killed = Instant::now();
  let mut messages: Vec<u32> = (0..20).map(|_| heir.line().parse().unwrap()).collect();
  let took = killed.elapsed();
  messages.sort_unstable();
  assert_eq!(messages, (0..20).collect::<Vec<_>>());
  // If the heir had reclaimed them before the kill, they would come at once.
  assert!(took > Duration::from_millis(500), "{took:?}");
  assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn processes_share_the_work_of_a_queue() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let worker = |name: &str| {
    let script = format!(
      "{OPEN} // {name}
      console.log('listens');
      await kv.listenQueue(async (message) => {{
        // Longer than others take to look: nobody can do all the work alone, with 100 handlers.
        await new Promise((resolve) => setTimeout(resolve, 300));
        console.log(message);
      }});"
    );
    let mut process = Process::start(path, &script);
    assert_eq!(process.line(), "listens");
    process
  };
  let workers = [worker("one"), worker("three")];
  let script = format!(
    "{OPEN}
    for (let i = 0; i < 300; i++) await kv.enqueue(i);
    kv.close();"
  );
  std::fs::write(path.join("fill.ts"), script).unwrap();
  success(kv(path).arg("fill.ts").current_dir(path));
  let (sender, received) = std::sync::mpsc::channel();
  let mut running = Vec::new();
  for (index, worker) in workers.into_iter().enumerate() {
    let sender = sender.clone();
    let Process { child, lines } = worker;
    running.push(child);
    // Ends with the process.
    std::thread::spawn(move || {
      for line in lines.map_while(Result::ok) {
        let message: u32 = line.parse().unwrap();
        if sender.send((message, index)).is_err() {
          return;
        }
      }
    });
  }
  let mut seen: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
  while seen.len() < 300 {
    let (message, worker) = received.recv_timeout(Duration::from_secs(20)).unwrap();
    seen.entry(message).or_default().push(worker);
  }
  // A moment for what should not come.
  while let Ok((message, worker)) = received.recv_timeout(Duration::from_millis(300)) {
    seen.entry(message).or_default().push(worker);
  }
  let twice: Vec<_> = seen
    .iter()
    .filter(|(_, workers)| workers.len() > 1)
    .collect();
  assert!(twice.is_empty(), "{twice:?}");
  for worker in [0, 1] {
    let count = seen
      .values()
      .filter(|workers| workers.contains(&worker))
      .count();
    assert!(count > 20, "worker {worker} got {count}");
  }
}

#[test]
fn watcher_of_another_process_idles_for_free() {
  let folder = TempDir::new().unwrap();
  let path = folder.path();
  let mut watcher = Process::start(
    path,
    &format!(
      "{OPEN}
      for await (const [entry] of kv.watch([['a']])) console.log(entry.value, Date.now());"
    ),
  );
  assert!(watcher.line().starts_with("null "));
  #[cfg(target_os = "linux")]
  {
    let ticks = || -> u64 {
      let stat = std::fs::read_to_string(format!("/proc/{}/stat", watcher.child.0.id())).unwrap();
      let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
      fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
    };
    // What V8 does after a start is over soon.
    std::thread::sleep(Duration::from_millis(500));
    let before = ticks();
    std::thread::sleep(Duration::from_secs(2));
    // A tick is 10 ms: at most 2 percent, in a debug build.
    assert!(ticks() - before <= 4, "{} ticks in 200", ticks() - before);
  }
  let script = format!("{OPEN} await kv.set(['a'], 1); console.log(Date.now()); kv.close();");
  let mut delays = Vec::new();
  for round in 1..=5 {
    let script = script.replace("['a'], 1", &format!("['a'], {round}"));
    std::fs::write(path.join("set.ts"), script).unwrap();
    let set: u64 = success(kv(path).arg("set.ts").current_dir(path))
      .trim()
      .parse()
      .unwrap();
    let line = watcher.line();
    let (value, heard) = line.split_once(' ').unwrap();
    assert_eq!(value, round.to_string());
    delays.push(heard.parse::<u64>().unwrap().saturating_sub(set));
  }
  delays.sort_unstable();
  // The watcher looks every 50 ms. Only the median counts, since the machine has other work too.
  assert!(delays[2] <= 100, "{delays:?}");
}
