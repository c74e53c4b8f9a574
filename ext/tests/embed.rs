//! The extension in a runtime of somebody else's: no `deno_web`, no snapshot.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use kv_ext::{KvOptions, Limits, key};
use support::{Embedder, embed, with_kv};

#[test]
fn a_script_stores_and_another_runtime_finds_it() {
  let folder = tempfile::TempDir::new().unwrap();
  let options = KvOptions::default()
    .default_path(folder.path().join("sub/kv.sqlite3"))
    .default_label("file:///app.js");
  let mut first = with_kv(options.clone());
  first.run(
    "const kv = await Deno.openKv();
     await kv.set(['a'], { n: 1n, d: new Date(5) });
     await kv.atomic().sum(['n'], 5n).commit();",
  );
  drop(first);
  let label = std::fs::read_to_string(folder.path().join("sub/script.txt")).unwrap();
  assert_eq!(label, "file:///app.js\n");
  let mut second = with_kv(options);
  second.run(
    "const kv = await Deno.openKv();
     const { value } = await kv.get(['a']);
     assert(value.n === 1n && value.d.getTime() === 5, 'value');
     assert((await kv.get(['n'])).value.value === 5n, 'sum');
     kv.close();",
  );
}

#[test]
fn a_runtime_that_is_dropped_lets_go_of_its_files() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv.sqlite3");
  let mut embedder = with_kv(KvOptions::default().default_path(&path));
  embedder.run(
    "globalThis.handles = [await Deno.openKv(), await Deno.openKv()];
     await handles[0].set(['a'], 1);",
  );
  assert!(wal(&path).exists());
  drop(embedder);
  // The last connection to close takes the log with it.
  assert!(!wal(&path).exists());
}

fn wal(path: &Path) -> std::path::PathBuf {
  path.with_extension("sqlite3-wal")
}

#[test]
fn without_a_default_path_one_must_be_given() {
  let mut embedder = with_kv(KvOptions::default());
  embedder.run(
    "let error;
     try { await Deno.openKv(); } catch (e) { error = e; }
     assert(error instanceof TypeError && error.message.includes('no default database'), error);
     (await Deno.openKv(':memory:')).close();",
  );
}

#[test]
fn an_embedder_sets_its_own_limits() {
  let mut limits = Limits::default();
  limits.value_bytes = 10;
  let mut embedder = with_kv(KvOptions::default().limits(limits));
  embedder.run(
    "const kv = await Deno.openKv(':memory:');
     let error;
     try { await kv.set(['a'], 'longer than ten'); } catch (e) { error = e; }
     assert(error.message === 'Value too large (max 10 bytes)', error.message);
     kv.close();",
  );
}

#[test]
fn nothing_else_of_the_global_object_is_touched() {
  let names = "JSON.stringify(Object.getOwnPropertyNames(globalThis).sort())";
  let list = |mut embedder: Embedder| {
    let value = embedder.runtime.execute_script("names.js", names).unwrap();
    deno_core::scope!(scope, &mut embedder.runtime);
    deno_core::v8::Local::new(scope, value).to_rust_string_lossy(scope)
  };
  let bare = list(embed(Vec::new()));
  assert_eq!(list(embed(vec![kv_ext::init(KvOptions::default())])), bare);
}

#[test]
fn a_value_that_is_garbage_spoils_its_own_key_only() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv.sqlite3");
  let mut embedder = with_kv(KvOptions::default().default_path(&path));
  embedder.run(
    "globalThis.kv = await Deno.openKv();
     await kv.set(['good'], 1);",
  );
  let other = rusqlite::Connection::open(&path).unwrap();
  // Not a clone, one that ends too soon, one of a newer format, one with a reference to nothing,
  // one whose length lies.
  for (i, garbage) in ["00", "ff0f6f", "ffff0f5f", "ff0f5e09", "ff0f41ffffffff0f"]
    .iter()
    .enumerate()
  {
    let sql = format!(
      "INSERT INTO kv (k, v, v_encoding, version) VALUES (x'02626164002{}', x'{garbage}', 1, 1)",
      if i % 2 == 0 { "6" } else { "7" }
    );
    other
      .execute(
        "DELETE FROM kv WHERE k > x'0262616400'  AND k < x'02626165'",
        [],
      )
      .unwrap();
    other.execute(&sql, []).unwrap();
    embedder.run(
      "for (const call of [
         () => kv.getMany([['bad', false], ['bad', true]]),
         () => kv.list({ prefix: ['bad'] }).next(),
       ]) {
         let error;
         try { await call(); } catch (e) { error = e; }
         assert(error instanceof RangeError && error.message.startsWith('could not deserialize value: [') && error.message.includes('bad'), error);
       }
       assert((await kv.get(['good'])).value === 1, 'good');
       // The iterator's next call goes on behind it.
       const list = kv.list({ prefix: [] }, { batchSize: 1 });
       let error;
       try { await list.next(); } catch (e) { error = e; }
       assert(error instanceof RangeError, error);
       const { value } = await list.next();
       assert(value.key[0] === 'good', 'good');
       assert((await list.next()).done, 'done');",
    );
  }
}

#[test]
fn two_runtimes_share_a_file() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv.sqlite3");
  let script = "
    const kv = await Deno.openKv();
    for (let i = 0; i < 100; i++) {
      // Compare and set, until nobody has come between.
      for (;;) {
        const entry = await kv.get(['n']);
        const result = await kv.atomic().check(entry).set(['n'], (entry.value ?? 0) + 1).commit();
        if (result.ok) break;
      }
    }
  ";
  let runtimes: Vec<_> = (0..2)
    .map(|_| {
      let options = KvOptions::default().default_path(&path);
      std::thread::spawn(move || with_kv(options).run(script))
    })
    .collect();
  for runtime in runtimes {
    runtime.join().unwrap();
  }
  with_kv(KvOptions::default().default_path(&path)).run(
    "const kv = await Deno.openKv();
     const { value } = await kv.get(['n']);
     assert(value === 200, String(value));",
  );
}

#[test]
fn without_streams_watch_says_what_is_missing() {
  with_kv(KvOptions::default()).run(
    "const kv = await Deno.openKv(':memory:');
     let message = '';
     try { kv.watch([['a']]); } catch (error) { message = `${error.name}: ${error.message}`; }
     assert(message.startsWith('TypeError: Deno.Kv.watch needs ReadableStream'), message);",
  );
}

#[test]
fn queues_need_no_other_extension() {
  with_kv(KvOptions::default().queue_concurrency(2)).run(
    "const kv = await Deno.openKv(':memory:');
     let atWork = 0, most = 0, done = 0;
     let end;
     const all = new Promise((resolve) => end = resolve);
     const listening = kv.listenQueue(async () => {
       most = Math.max(most, ++atWork);
       await kv.get(['a']);
       atWork--;
       if (++done === 20) end();
     });
     for (let i = 0; i < 20; i++) await kv.enqueue(i);
     await all;
     assert(most <= 2, `${most} at once`);
     kv.close();
     await listening;",
  );
}

#[test]
fn dropped_runtime_releases_everything() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv.sqlite3");
  let mut first = with_kv(KvOptions::default().default_path(&path));
  first.run(
    "globalThis.kv = await Deno.openKv();
     kv.listenQueue(() => new Promise(() => {}));
     await kv.enqueue('m', { backoffSchedule: [60_000] });
     while ((await kv.get(['x'])).value === null) await kv.set(['x'], 1);",
  );
  drop(first);
  // What it was delivering goes to whoever listens next, at once.
  with_kv(KvOptions::default().default_path(&path)).run(
    "const kv = await Deno.openKv();
     const message = await new Promise((resolve) => { kv.listenQueue(resolve); });
     assert(message === 'm', String(message));
     kv.close();",
  );
  assert!(!wal(&path).exists());
}

/// What looks like a host object, and prototypes that hand out what is half-built.
#[test]
fn nothing_of_a_script_runs_while_a_value_is_read() {
  let mut embedder = with_kv(KvOptions::default());
  // The layer below deno_core on QuickJS asks Object.prototype.toString what an object is.
  embedder.run(match cfg!(feature = "quickjs") {
    true => "globalThis.converters = [Symbol.toPrimitive, 'valueOf'];",
    false => "globalThis.converters = [Symbol.toPrimitive, 'valueOf', 'toString'];",
  });
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  drop(kv_ext::Store::open(&path).unwrap());
  let file = rusqlite::Connection::open(&path).unwrap();
  let descriptions = [
    object("kind", b"\"\x01x"),
    object("type", &object("b", b"I\x02")),
    object("type", b"\"\x08toString"),
    object("type", b"\"\x09__proto__"),
    b"I\x0e".to_vec(),
  ];
  for (n, description) in descriptions.iter().enumerate() {
    // [{ a: 1 }, host, new Map([[1, host]])]: no script can set such a value.
    let host = [b"\\\xff\xff\xff\xff\x0f", &description[..]].concat();
    let value = [
      b"\xff\x0fA\x03",
      &object("a", b"I\x02")[..],
      &host,
      b";I\x02",
      &host,
      b":\x02$\0\x03",
    ]
    .concat();
    for name in ["a", "b"] {
      let key = key![n as f64, name].encode().unwrap();
      let sql = "INSERT INTO kv (k, v, v_encoding, version) VALUES (?, ?, 1, 1)";
      file.execute(sql, (key, &value)).unwrap();
    }
  }
  embedder.run(&format!("globalThis.path = {:?};", path.to_str().unwrap()));
  embedder.run(
    "const kv = await Deno.openKv(path);
     const seen = [];
     const spied = ['type', 'kind', 'description'];
     for (let n = 0; n < 5; n++) {
       for (const name of spied) {
         Object.defineProperty(Object.prototype, name, {
           get() { seen.push([name, this]); },
           configurable: true,
         });
       }
       const originals = converters.map((name) => Object.prototype[name]);
       for (const name of converters) {
         Object.defineProperty(Object.prototype, name, {
           value() { seen.push([name, this]); return 'x'; },
           configurable: true,
           writable: true,
         });
       }
       const errors = [];
       for (let i = 0; i < 100; i++) {
         for (const call of [
           () => kv.get([n, 'a']),
           () => kv.getMany([[n, 'a'], [n, 'b']]),
           () => kv.list({ prefix: [n] }, { batchSize: 5 }).next(),
         ]) {
           try { await call(); errors.push(null); } catch (error) { errors.push(error); }
         }
       }
       for (const name of [...spied, Symbol.toPrimitive]) delete Object.prototype[name];
       converters.forEach((name, i) => {
         if (originals[i]) Object.prototype[name] = originals[i];
       });
       const ofOurs = seen.filter(([, self]) => Array.isArray(self) || self?.a === 1 || self?.b === 1);
       assert(ofOurs.length === 0, ofOurs.map(([name]) => String(name)).join());
       assert(errors.every((error) => error instanceof RangeError), String(errors[0]));
     }
     kv.close();",
  );
}

/// An object with one property, as V8 writes it.
fn object(name: &str, value: &[u8]) -> Vec<u8> {
  [
    b"o\"",
    &[name.len() as u8][..],
    name.as_bytes(),
    value,
    b"{\x01",
  ]
  .concat()
}
