// Every read sees every write that was acknowledged before it began, whichever calls make them.

import { assertEquals } from "@std/assert";
import { collect, withFolder } from "./helpers.ts";

/** Reads a key in every possible way; returns all the values. */
async function readings(kv: Deno.Kv, key: Deno.KvKey): Promise<unknown[]> {
  const values: unknown[] = [];
  values.push((await kv.get(key)).value);
  values.push((await kv.getMany([key]))[0].value);
  const find = async (options: Deno.KvListOptions) => {
    const entries = await collect(kv.list({ prefix: key.slice(0, -1) }, options));
    const found = entries.find((entry) => entry.key.at(-1) === key.at(-1));
    return found === undefined ? null : found.value;
  };
  values.push(await find({}));
  values.push(await find({ reverse: true }));
  // A batch so large that another thread reads it.
  values.push(await find({ batchSize: 1000 }));
  return values;
}

Deno.test(
  "a write is seen by every way to read, on its own handle and on another",
  withFolder(async (folder) => {
    using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
    using other = await Deno.openKv(`${folder}/kv.sqlite3`);
    const sees = async (value: unknown) => {
      for (const handle of [kv, other]) {
        assertEquals(await readings(handle, ["a", 5]), Array(5).fill(value));
      }
    };
    for (let i = 0; i < 10; i++) await kv.set(["a", i], "old");
    await sees("old");
    await kv.set(["a", 5], "set");
    await sees("set");
    await other.atomic().set(["a", 5], "committed").commit();
    await sees("committed");
    await kv.delete(["a", 5]);
    await sees(null);
    // The writer thread, not a waiting caller, commits groups that are too large, and many writes at once.
    const large = "x".repeat(60_000);
    const operation = kv.atomic().set(["a", 5], large);
    for (let i = 0; i < 5; i++) operation.set(["large", i], large);
    await operation.commit();
    await sees(large);
    await Promise.all(Array.from({ length: 50 }, (_, i) => kv.set(["b", i], i)));
    assertEquals((await collect(other.list({ prefix: ["b"] }))).length, 50);
    await Promise.all(Array.from({ length: 50 }, (_, i) => other.set(["a", 5], i)));
    await sees(49);
  }),
);

Deno.test(
  "of writes at once, one that fails leaves nothing, and the others are whole",
  withFolder(async (folder) => {
    using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
    await kv.set(["taken"], 1);
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, i) => {
        const operation = kv.atomic().set(["x", i], i).set(["y", i], i);
        if (i % 3 === 0) operation.check({ key: ["taken"], versionstamp: null });
        return operation.commit();
      }),
    );
    assertEquals(results.map((result) => result.ok), results.map((_, i) => i % 3 !== 0));
    for (const name of ["x", "y"]) {
      const entries = await collect(kv.list<number>({ prefix: [name] }));
      assertEquals(
        entries.map((entry) => entry.value),
        results.flatMap((result, i) => result.ok ? [i] : []),
      );
      // All that an operation has set has its versionstamp.
      for (const { value, versionstamp } of entries) {
        const result = results[value];
        assertEquals(result.ok && result.versionstamp, versionstamp);
      }
    }
  }),
);
