//! What an embedder may rely on: the hook, neighbours, and an end that leaves nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use deno_core::Extension;
use kv_ext::{JsErrorBox, KvOptions, Location, Store};
use support::{embed, with_kv};

#[test]
fn the_hook_sees_every_path_and_decides() {
  let folder = tempfile::TempDir::new().unwrap();
  let seen: Arc<Mutex<Vec<Location>>> = Arc::default();
  let (asked, elsewhere) = (seen.clone(), folder.path().join("elsewhere"));
  let options = KvOptions::default()
    .default_path(folder.path().join("made/default"))
    .open_hook(move |location| {
      asked.lock().unwrap().push(location.clone());
      match location {
        Location::File(path) if path.ends_with("secret") => {
          Err(JsErrorBox::new("NotCapable", "no access to secret"))
        }
        Location::File(path) if path.ends_with("other") => Ok(Location::File(elsewhere.clone())),
        allowed => Ok(allowed.clone()),
      }
    });
  let mut embedder = with_kv(options);
  let root = folder.path().display().to_string();
  embedder.run(&format!(
    "for (const path of [undefined, ':memory:', '{root}/a', '{root}/x/../b', 'file://{root}/c',
       '{root}/other']) {{
       (await Deno.openKv(path)).close();
     }}
     for (const path of ['{root}/secret', '{root}/./x/../secret', 'file://{root}/secret']) {{
       let message;
       try {{ await Deno.openKv(path); }} catch (error) {{ message = error.message; }}
       assert(message === 'no access to secret', message);
     }}
     // What is no path is refused before anybody is asked.
     try {{ await Deno.openKv(':other:'); }} catch {{}}"
  ));
  let file = |name: &str| Location::File(folder.path().join(name));
  let expected = [
    file("made/default"),
    Location::Memory,
    file("a"),
    file("b"),
    file("c"),
    file("other"),
    file("secret"),
    file("secret"),
    file("secret"),
  ];
  assert_eq!(*seen.lock().unwrap(), expected);
  for (name, exists) in [("a", true), ("b", true), ("elsewhere", true)] {
    assert_eq!(folder.path().join(name).exists(), exists, "{name}");
  }
  for name in ["secret", "other"] {
    assert!(!folder.path().join(name).exists(), "{name}");
  }
}

#[test]
fn a_default_that_is_denied_leaves_no_folder() {
  let folder = tempfile::TempDir::new().unwrap();
  let options = KvOptions::default()
    .storage(folder.path().join("data"), "file:///main.js")
    .open_hook(|_| Err(JsErrorBox::type_error("denied")));
  with_kv(options).run(
    "let error;
     try { await Deno.openKv(); } catch (e) { error = e; }
     assert(error instanceof TypeError && error.message === 'denied', error);",
  );
  assert!(!folder.path().join("data").exists());
}

#[test]
fn a_script_has_a_folder_by_its_identity() {
  let folder = tempfile::TempDir::new().unwrap();
  let options = KvOptions::default().storage(folder.path(), "file:///main.js");
  // printf file:///main.js | sha256sum
  let hash = "09e6d30f09488466688c333e18ead28c0f5e88f05373de906db41153570ef2cc";
  let expected = folder.path().join(hash).join("kv.sqlite3");
  assert_eq!(options.default_file(), Some(expected.as_path()));
  with_kv(options).run("await (await Deno.openKv()).set(['a'], 1);");
  let label = std::fs::read_to_string(folder.path().join(hash).join("script.txt")).unwrap();
  assert_eq!(label, "file:///main.js\n");
}

#[test]
fn runtimes_with_one_store_share_it() {
  let store = Store::in_memory().unwrap();
  let options = KvOptions::default().default_store(store);
  with_kv(options.clone()).run("await (await Deno.openKv()).set(['a'], 1);");
  with_kv(options).run(
    "const kv = await Deno.openKv();
     assert((await kv.get(['a'])).value === 1, 'shared');
     // With a path it is another.
     assert((await (await Deno.openKv(':memory:')).get(['a'])).value === null, 'private');",
  );
}

fn deno_web() -> Vec<Extension> {
  vec![
    deno_webidl::deno_webidl::init(),
    deno_web::deno_web::init(
      Arc::<deno_web::BlobStore>::default(),
      None,
      false,
      deno_web::InMemoryBroadcastChannel::default(),
    ),
  ]
}

#[test]
fn it_stands_beside_deno_web_before_and_after() {
  let kv = || kv_ext::init(KvOptions::default());
  let mut after = deno_web();
  after.push(kv());
  let mut before = vec![kv()];
  before.extend(deno_web());
  for extensions in [after, before] {
    embed(extensions).run(
      "const kv = await Deno.openKv(':memory:');
       await kv.set(['a'], 1);
       if ((await kv.get(['a'])).value !== 1) throw new Error('value');
       kv.close();",
    );
  }
}

deno_core::extension!(
  with_deno,
  esm_entry_point = "ext:with_deno/main.js",
  esm = ["ext:with_deno/main.js" = { source = "globalThis.Deno = { mine: 1 };" }],
);

deno_core::extension!(
  without_deno,
  esm_entry_point = "ext:without_deno/main.js",
  esm = ["ext:without_deno/main.js" = { source = "delete globalThis.Deno;" }],
);

#[test]
fn where_there_is_no_deno_object_it_is_made() {
  let kv = || kv_ext::init(KvOptions::default());
  embed(vec![without_deno::init(), kv()]).run(
    "const names = Object.keys(Deno).sort().join();
     if (names !== 'AtomicOperation,Kv,KvListIterator,KvU64,openKv') throw new Error(names);
     if (Object.keys(globalThis).includes('Deno')) throw new Error('enumerable');
     (await Deno.openKv(':memory:')).close();",
  );
}

#[test]
fn a_deno_object_that_is_there_is_added_to() {
  let kv = || kv_ext::init(KvOptions::default());
  embed(vec![with_deno::init(), kv()]).run(
    "if (Deno.mine !== 1 || typeof Deno.openKv !== 'function') throw new Error('Deno');
     const names = Object.keys(Deno).sort().join();
     const expected = 'AtomicOperation,Kv,KvListIterator,KvU64,mine,openKv';
     if (names !== expected) throw new Error(names);",
  );
}

#[test]
fn closing_ends_everything_that_is_under_way() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  with_kv(KvOptions::default().default_path(&path)).run(
    "const kv = await Deno.openKv();
     const fill = kv.atomic();
     for (let i = 0; i < 1000; i++) fill.set(['fill', i], i);
     await fill.commit();
     let handling = 0;
     const listening = kv.listenQueue(() => { handling++; return new Promise(() => {}); });
     await kv.enqueue('m');
     while (handling === 0) await kv.get(['turn']);
     const list = kv.list({ prefix: ['fill'] }, { batchSize: 1000 });
     const under_way = [
       kv.set(['a'], 1), kv.atomic().set(['b'], 1).commit(), kv.delete(['c']), kv.enqueue('n'),
       kv.get(['a']), kv.getMany([['a']]), list.next(),
     ];
     kv.close();
     const results = await Promise.allSettled(under_way);
     // What was begun is done.
     const states = results.map((result) => result.status).join();
     assert(states === Array(7).fill('fulfilled').join(), states);
     assert(await listening === undefined, 'listening');
     for (const call of [
       () => kv.set(['a'], 1), () => kv.get(['a']), () => kv.list({ prefix: [] }).next(),
       () => kv.enqueue(1), () => kv.atomic().commit(),
     ]) {
       let name;
       try { await call(); } catch (error) { name = error.name; }
       assert(name === 'BadResource', String(name));
     }",
  );
  // Closed, with nothing left beside the file.
  assert!(!Path::new(&format!("{}-wal", path.display())).exists());
  with_kv(KvOptions::default().default_path(&path)).run(
    "const kv = await Deno.openKv();
     for (const key of ['a', 'b']) assert((await kv.get([key])).value === 1, key);
     kv.close();",
  );
}
