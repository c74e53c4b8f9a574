// get, getMany, set, delete.

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type Any, withKv } from "./helpers.ts";

Deno.test(
  "set, get, overwrite, delete",
  withKv(async (kv) => {
    const first = await kv.set(["a"], 1);
    assert(first.ok);
    assertMatch(first.versionstamp, /^[0-9a-f]{16}0000$/);
    assertEquals(await kv.get(["a"]), { key: ["a"], value: 1, versionstamp: first.versionstamp });
    const second = await kv.set(["a"], 2);
    assert(second.versionstamp > first.versionstamp);
    assertEquals((await kv.get(["a"])).value, 2);
    assertEquals(await kv.delete(["a"]), undefined);
    assertEquals(await kv.get(["a"]), { key: ["a"], value: null, versionstamp: null });
    await kv.delete(["a"]);
  }),
);

Deno.test(
  "getMany keeps the order of its keys",
  withKv(async (kv) => {
    await kv.set(["a"], "A");
    await kv.set(["b"], "B");
    const entries = await kv.getMany([["b"], ["none"], ["a"], ["b"]]);
    assertEquals(entries.map((entry) => entry.value), ["B", null, "A", "B"]);
    assertEquals(entries.map((entry) => entry.key), [["b"], ["none"], ["a"], ["b"]]);
    assertEquals(await kv.getMany([]), []);
  }),
);

Deno.test(
  "both levels of consistency read, others are refused",
  withKv(async (kv) => {
    await kv.set(["a"], 1);
    for (const consistency of ["strong", "eventual", undefined, null] as Any[]) {
      assertEquals((await kv.get(["a"], { consistency })).value, 1);
      assertEquals((await kv.getMany([["a"]], { consistency }))[0].value, 1);
    }
    for (const consistency of ["weak", 1, {}] as Any[]) {
      await assertRejects(() => kv.get(["a"], { consistency }), TypeError);
      await assertRejects(() => kv.getMany([["a"]], { consistency }), TypeError);
    }
  }),
);

Deno.test(
  "an entry has key, value and versionstamp, and is the caller's",
  withKv(async (kv) => {
    await kv.set(["a"], 1);
    const entry = await kv.get(["a"]);
    assertEquals(Object.keys(entry), ["key", "value", "versionstamp"]);
    assert(!Object.isFrozen(entry) && !Object.isFrozen(entry.key));
    assertEquals(Object.getPrototypeOf(entry), Object.prototype);
  }),
);

Deno.test(
  "writes that are begun one after another are committed in that order",
  withKv(async (kv) => {
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => kv.set(["n"], i)));
    const stamps = results.map((result) => result.versionstamp);
    assertEquals(stamps, [...stamps].sort());
    assertEquals(new Set(stamps).size, 100);
    assertEquals((await kv.get(["n"])).value, 99);
  }),
);
