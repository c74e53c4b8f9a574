// watch.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Any, withFolder, withKv } from "./helpers.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

type Reader = ReadableStreamDefaultReader<Any[]>;

/** The values of the next state that somebody waits for. */
async function next(reader: Reader): Promise<unknown[]> {
  const { value } = await reader.read();
  return value!.map((entry) => entry.value);
}

/** Reads until the state is this one: states in between may be left out. */
async function until(reader: Reader, state: unknown[]) {
  const wanted = JSON.stringify(state);
  for (let i = 0; i < 100; i++) {
    if (JSON.stringify(await next(reader)) === wanted) return;
  }
  throw new Error(`the state is never ${wanted}`);
}

Deno.test(
  "a stream begins with what the keys are, and goes on with each change",
  withKv(async (kv) => {
    const { versionstamp } = await kv.set(["b"], "B");
    const stream = kv.watch([["a"], ["b"]]);
    assert(stream instanceof ReadableStream);
    const reader = stream.getReader() as Reader;
    assertEquals((await reader.read()).value, [
      { key: ["a"], value: null, versionstamp: null },
      { key: ["b"], value: "B", versionstamp },
    ]);
    const set = await kv.set(["a"], { deep: [1n] });
    assertEquals((await reader.read()).value, [
      { key: ["a"], value: { deep: [1n] }, versionstamp: set.versionstamp },
      { key: ["b"], value: "B", versionstamp },
    ]);
    await kv.atomic().delete(["a"]).sum(["n"], 1n).commit();
    assertEquals(await next(reader), [null, "B"]);
    await reader.cancel();
  }),
);

Deno.test(
  "changes to other keys are none",
  withKv(async (kv) => {
    const reader = kv.watch([["a"]]).getReader() as Reader;
    await next(reader);
    const pending = next(reader);
    for (let i = 0; i < 10; i++) await kv.set(["b", i], i);
    await pause(50);
    await kv.set(["a"], 1);
    assertEquals(await pending, [1]);
    await reader.cancel();
  }),
);

Deno.test(
  "a reader that is slow gets the latest state",
  withKv(async (kv) => {
    const reader = kv.watch([["a"]]).getReader() as Reader;
    await next(reader);
    for (let i = 0; i <= 1000; i++) await kv.set(["a"], i);
    const values: unknown[] = [];
    while (values.at(-1) !== 1000) values.push((await next(reader))[0]);
    // The stream itself holds one state, and the store none.
    assert(values.length <= 3, JSON.stringify(values));
    await reader.cancel();
  }),
);

Deno.test(
  "other handles of a file are heard",
  withFolder(async (folder) => {
    using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
    const reader = kv.watch([["a"]]).getReader() as Reader;
    await next(reader);
    await kv.set(["a"], 1);
    await until(reader, [1]);
    await kv.delete(["a"]);
    await until(reader, [null]);
    await reader.cancel();
  }),
);

Deno.test(
  "a key may be watched twice, and none may be",
  withKv(async (kv) => {
    const twice = kv.watch([["a"], ["a"]]).getReader() as Reader;
    assertEquals(await next(twice), [null, null]);
    await kv.set(["a"], 1);
    assertEquals(await next(twice), [1, 1]);
    await twice.cancel();
    assertEquals(await kv.watch([]).getReader().read(), { value: undefined, done: true });
  }),
);

Deno.test(
  "with raw, a change to the same value counts",
  withKv(async (kv) => {
    await kv.set(["a"], 1);
    const reader = kv.watch([["a"]], { raw: true }).getReader() as Reader;
    assertEquals(await next(reader), [1]);
    await kv.set(["a"], 1);
    assertEquals(await next(reader), [1]);
    await reader.cancel();
  }),
);

Deno.test(
  "closing the database ends a stream",
  withKv(async (kv) => {
    const reader = kv.watch([["a"]]).getReader() as Reader;
    await next(reader);
    const pending = reader.read();
    kv.close();
    assertEquals(await pending, { value: undefined, done: true });
    await reader.closed;
  }),
);

Deno.test(
  "what can't be watched is refused",
  withKv(async (kv) => {
    await Promise.resolve();
    const refused = (keys: Any, message: string) => {
      assertThrows(() => kv.watch(keys), TypeError, message);
    };
    refused(Array(11).fill(["a"]), "Too many keys (max 10)");
    refused([["a".repeat(3000)]], "Key too large for read (max 2049 bytes)");
    refused([[{}]], "expected string, number, bigint, ArrayBufferView, boolean");
    assertThrows(() => kv.watch("a" as Any), TypeError);
    assertThrows(() => kv.watch(["a" as Any]), TypeError);
  }),
);

Deno.test(
  "entries of a stream are the reader's to change",
  withKv(async (kv) => {
    const key = ["a", 1];
    const reader = kv.watch([key]).getReader() as Reader;
    key[0] = "changed";
    const first = (await reader.read()).value![0];
    assertEquals(first.key, ["a", 1]);
    first.key.push("mine");
    first.value = "mine";
    await kv.set(["a", 1], 1);
    assertEquals((await reader.read()).value![0], {
      ...await kv.get(["a", 1]),
    });
    await reader.cancel();
  }),
);
