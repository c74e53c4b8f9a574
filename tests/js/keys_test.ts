// What a key is, how keys sort, and which are refused.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Any, collect, withKv } from "./helpers.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

/** In the order in which they must sort. */
const ordered: Deno.KvKey[] = [
  [bytes()],
  [bytes(0)],
  [bytes(0, 0)],
  [bytes(0, 1)],
  [bytes(0, 255)],
  [bytes(1)],
  [bytes(255)],
  [bytes(255, 255)],
  [""],
  ["\0"],
  ["\0\0"],
  ["\0a"],
  ["a"],
  ["a", bytes()],
  ["a", ""],
  ["a", "b"],
  ["a", 1n],
  ["a", 1],
  ["a", true],
  ["a\0"],
  ["aa"],
  ["b"],
  ["é"],
  ["\uffff"],
  ["😀"],
  [-(2n ** 2040n - 1n)],
  [-(2n ** 64n)],
  [-(2n ** 64n) + 1n],
  [-256n],
  [-255n],
  [-1n],
  [0n],
  [1n],
  [255n],
  [256n],
  [2n ** 64n - 1n],
  [2n ** 64n],
  [2n ** 2040n - 1n],
  [-Infinity],
  [-Number.MAX_VALUE],
  [-1.5],
  [-1],
  [-Number.MIN_VALUE],
  [-0],
  [0],
  [Number.MIN_VALUE],
  [1],
  [1.5],
  [Number.MAX_VALUE],
  [Infinity],
  [NaN],
  [false],
  [true],
];

Deno.test(
  "keys of all types come back as they went in, in order",
  withKv(async (kv) => {
    const shuffled = ordered.map((key, i) => ({ key, i }))
      .sort((a, b) => (a.i * 7919) % 53 - (b.i * 7919) % 53);
    for (const { key, i } of shuffled) await kv.set(key, i);
    const entries = await collect(kv.list<number>({ prefix: [] }));
    assertEquals(entries.map((entry) => entry.value), ordered.map((_, i) => i));
    assertEquals(entries.map((entry) => entry.key), ordered);
    for (const [i, key] of ordered.entries()) {
      const entry = await kv.get(key);
      assertEquals([entry.key, entry.value], [key, i]);
    }
  }),
);

Deno.test(
  "-0 and 0 are different keys, and all NaN are one",
  withKv(async (kv) => {
    await kv.set([0], "zero");
    assertEquals((await kv.get([-0])).value, null);
    const payload = new Float64Array(new BigUint64Array([0x7ff8_0000_0000_0001n]).buffer)[0];
    await kv.set([NaN], "nan");
    assertEquals((await kv.get([payload])).value, "nan");
  }),
);

Deno.test(
  "a key part can be any view of bytes",
  withKv(async (kv) => {
    await kv.set([bytes(1, 0)], "bytes");
    for (const view of [new Uint16Array([1]), new DataView(bytes(9, 1, 0).buffer, 1)]) {
      assertEquals((await kv.get([view as Any])).value, "bytes");
    }
  }),
);

Deno.test(
  "a part of another type is a TypeError",
  withKv(async (kv) => {
    const message = "expected string, number, bigint, ArrayBufferView, boolean";
    const parts = [null, undefined, {}, [], new Date(), () => {}, Symbol("s"), new ArrayBuffer(1)];
    for (const part of parts) {
      const key = ["a", part as Any];
      await assertRejects(() => kv.get(key), TypeError, message);
      await assertRejects(() => kv.getMany([key]), TypeError, message);
      await assertRejects(() => kv.set(key, 1), TypeError, message);
      await assertRejects(() => kv.delete(key), TypeError, message);
      await assertRejects(() => collect(kv.list({ prefix: key })), TypeError, message);
      await assertRejects(
        () => kv.atomic().check({ key, versionstamp: null }).commit(),
        TypeError,
        message,
      );
    }
  }),
);

Deno.test(
  "what is no array is no key",
  withKv(async (kv) => {
    for (const key of [undefined, null, "a", 1, {}, { length: 1, 0: "a" }]) {
      await assertRejects(() => kv.get(key as Any), TypeError);
      await assertRejects(() => kv.set(key as Any, 1), TypeError);
      await assertRejects(() => kv.delete(key as Any), TypeError);
      await assertRejects(
        () => kv.atomic().check({ key: key as Any, versionstamp: null }).commit(),
        TypeError,
      );
    }
  }),
);

Deno.test(
  "the empty key can be read and not written",
  withKv(async (kv) => {
    assertEquals(await kv.get([]), { key: [], value: null, versionstamp: null });
    await assertRejects(() => kv.set([], 1), TypeError, "key cannot be empty");
    await assertRejects(() => kv.delete([]), TypeError, "key cannot be empty");
    await assertRejects(
      () => kv.atomic().check({ key: [], versionstamp: null }).commit(),
      TypeError,
      "key cannot be empty",
    );
  }),
);

Deno.test(
  "a bigint of more than 255 bytes is refused",
  withKv(async (kv) => {
    const message = "BigUint requires more than 255 bytes to be represented";
    for (const part of [2n ** 2040n, -(2n ** 2040n)]) {
      await assertRejects(() => kv.get([part]), TypeError, message);
      await assertRejects(() => kv.set([part], 1), TypeError, `Invalid mutation: ${message}`);
      await assertRejects(
        () => kv.atomic().check({ key: [part], versionstamp: null }).commit(),
        TypeError,
        "Invalid check",
      );
    }
  }),
);

Deno.test(
  "a get of a missing key returns the caller's own key",
  withKv(async (kv) => {
    const key = ["nothing"];
    assert((await kv.get(key)).key === key);
    assert((await kv.getMany([key]))[0].key === key);
  }),
);

Deno.test(
  "the versionstamp of the commit as the last part of a key",
  withKv(async (kv) => {
    const stamp = kv.commitVersionstamp() as Any;
    const { versionstamp } = await kv.set(["log", stamp], "first");
    assertEquals((await kv.get(["log", versionstamp])).value, "first");
    const result = await kv.atomic()
      .set(["a", stamp], 1)
      .mutate({ type: "set", key: ["b", stamp], value: 2 })
      .commit() as Deno.KvCommitResult;
    assert(result.ok);
    assertEquals((await kv.get(["a", result.versionstamp])).value, 1);
    assertEquals((await kv.get(["b", result.versionstamp])).value, 2);
    const log = await collect(kv.list({ prefix: ["log"] }));
    assertEquals(log.map((entry) => entry.key), [["log", versionstamp]]);

    const message = "expected string, number, bigint, ArrayBufferView, boolean";
    await assertRejects(() => kv.get(["log", stamp]), TypeError, message);
    await assertRejects(() => kv.delete(["log", stamp]), TypeError, message);
    await assertRejects(() => kv.set(["log", stamp, 1], 1), TypeError, message);
    await assertRejects(() => kv.atomic().sum(["log", stamp], 1n).commit(), TypeError, message);
    await assertRejects(() => kv.set([stamp], 1), TypeError, "key cannot be empty");
  }),
);
