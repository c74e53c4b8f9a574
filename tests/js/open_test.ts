// openKv and close.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Any, collect, withFolder } from "./helpers.ts";

Deno.test(
  "a file keeps what was written, and is whole once it is closed",
  withFolder(async (folder) => {
    const path = `${folder}/kv.sqlite3`;
    const kv = await Deno.openKv(path);
    const { versionstamp } = await kv.set(["a"], { n: 1 });
    kv.close();
    const again = await Deno.openKv(path);
    assertEquals(await again.get(["a"]), { key: ["a"], value: { n: 1 }, versionstamp });
    assert((await again.set(["a"], 2)).versionstamp > versionstamp);
    again.close();
  }),
);

Deno.test("databases in memory are private to their handle", async () => {
  using first = await Deno.openKv(":memory:");
  using second = await Deno.openKv(":memory:");
  await first.set(["a"], 1);
  assertEquals((await second.get(["a"])).value, null);
});

Deno.test(
  "two handles of one file see each other's writes at once",
  withFolder(async (folder) => {
    using first = await Deno.openKv(`${folder}/kv.sqlite3`);
    using second = await Deno.openKv(`${folder}/./kv.sqlite3`);
    for (let i = 0; i < 20; i++) {
      await first.set(["a"], i);
      assertEquals((await second.get(["a"])).value, i);
      await second.set(["b"], i);
      assertEquals((await first.get(["b"])).value, i);
    }
    const all = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? first : second).atomic().sum(["n"], 1n).commit()),
    );
    assertEquals(new Set(all.map((result) => (result as Any).versionstamp)).size, 100);
    assertEquals((await first.get<Deno.KvU64>(["n"])).value?.value, 100n);
  }),
);

Deno.test("names that are no files", async () => {
  const colon = "Filename cannot start with ':' unless prefixed with './'";
  await assertRejects(() => Deno.openKv(""), TypeError, "Filename cannot be empty");
  await assertRejects(() => Deno.openKv(":name"), TypeError, colon);
  await assertRejects(() => Deno.openKv(":memory:x"), TypeError, colon);
  await assertRejects(() => Deno.openKv("a\0b"), TypeError);
  await assertRejects(() => Deno.openKv(5 as Any), TypeError);
});

Deno.test(
  "files that can't be opened",
  withFolder(async (folder) => {
    await assertRejects(
      () => Deno.openKv(`${folder}/none/kv.sqlite3`),
      Error,
      `unable to open database file: ${folder}/none/kv.sqlite3`,
    );
    await assertRejects(() => Deno.openKv(folder), Error, "unable to open database file");
    await Deno.writeTextFile(`${folder}/text`, "this is not a database\n".repeat(100));
    await assertRejects(() => Deno.openKv(`${folder}/text`), Error, "file is not a database");
    assertEquals((await Deno.readTextFile(`${folder}/text`)).slice(0, 4), "this");
    await Deno.symlink(`${folder}/target`, `${folder}/link`);
    await assertRejects(
      () => Deno.openKv(`${folder}/link`),
      Error,
      `unable to open database file: ${folder}/link`,
    );
  }),
);

Deno.test("a closed handle: BadResource for every call", async () => {
  const kv = await Deno.openKv(":memory:");
  const list = kv.list({ prefix: [] });
  const operation = kv.atomic().set(["a"], 1);
  assertEquals(kv.close(), undefined);
  const closed = (fn: () => Promise<unknown>) =>
    assertRejects(fn, Deno.errors.BadResource, "Bad resource ID");
  await closed(() => kv.get(["a"]));
  await closed(() => kv.getMany([["a"]]));
  await closed(() => kv.set(["a"], 1));
  await closed(() => kv.delete(["a"]));
  await closed(() => collect(kv.list({ prefix: [] })));
  await closed(() => list.next());
  await closed(() => operation.commit());
  await closed(() => kv.atomic().commit());
  assertThrows(() => kv.close(), Deno.errors.BadResource, "Bad resource ID");
  assertEquals(kv[Symbol.dispose](), undefined);
});

Deno.test("using closes", async () => {
  let escaped: Deno.Kv;
  {
    using kv = await Deno.openKv(":memory:");
    await kv.set(["a"], 1);
    escaped = kv;
  }
  await assertRejects(() => escaped.get(["a"]), Deno.errors.BadResource);
});

Deno.test("classes that are not made by hand", async () => {
  assertThrows(
    () => new (Deno as Any).Kv(),
    TypeError,
    "Deno.Kv can not be constructed: use Deno.openKv instead",
  );
  assertEquals([Deno.openKv.length, Deno.Kv.prototype.get.length], [1, 2]);
  using kv = await Deno.openKv(":memory:");
  assert(kv instanceof Deno.Kv);
  assert(kv.atomic() instanceof (Deno as Any).AtomicOperation);
});
