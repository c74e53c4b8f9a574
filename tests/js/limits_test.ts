// Every limit, on both sides of it, with its error.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { collect, withKv } from "./helpers.ts";

// A string of n ASCII characters takes n + 2 bytes in a key, and n + 4 or so as a value.
const text = (length: number) => "a".repeat(length);

Deno.test(
  "keys to write: 2048 bytes",
  withKv(async (kv) => {
    const message = "Key too large for write (max 2048 bytes)";
    const [fits, tooLarge] = [[text(2046)], [text(2047)]];
    await kv.set(fits, 1);
    assertEquals((await kv.get(fits)).value, 1);
    await assertRejects(() => kv.set(tooLarge, 1), TypeError, message);
    await assertRejects(() => kv.delete(tooLarge), TypeError, message);
    await assertRejects(
      () => kv.atomic().check({ key: tooLarge, versionstamp: null }).commit(),
      TypeError,
      message,
    );
    await assertRejects(() => kv.atomic().sum(tooLarge, 1n).commit(), TypeError, message);
  }),
);

Deno.test(
  "keys to read: 2049 bytes, with the byte that ends a range",
  withKv(async (kv) => {
    const message = "Key too large for read (max 2049 bytes)";
    assertEquals((await kv.get([text(2046)])).value, null);
    await assertRejects(() => kv.get([text(2047)]), TypeError, message);
    await assertRejects(() => kv.getMany([["a"], [text(2047)]]), TypeError, message);
    assertEquals(await collect(kv.list({ prefix: [text(2046)] })), []);
    await assertRejects(() => collect(kv.list({ prefix: [text(2047)] })), TypeError, message);
    await assertRejects(
      () => collect(kv.list({ start: ["a"], end: [text(2048)] })),
      TypeError,
      message,
    );
  }),
);

Deno.test(
  "values: 65,536 bytes as they are stored",
  withKv(async (kv) => {
    const message = "Value too large (max 65536 bytes)";
    await kv.set(["bytes"], new Uint8Array(65_536));
    assertEquals((await kv.get<Uint8Array>(["bytes"])).value?.length, 65_536);
    await assertRejects(() => kv.set(["bytes"], new Uint8Array(65_537)), TypeError, message);
    await kv.set(["text"], text(65_530));
    await assertRejects(() => kv.set(["text"], text(65_531)), TypeError, message);
    await assertRejects(() => kv.atomic().set(["a"], text(70_000)).commit(), TypeError, message);
    assertEquals((await kv.get(["a"])).value, null);
  }),
);

Deno.test(
  "getMany: 10 keys",
  withKv(async (kv) => {
    const keys = Array.from({ length: 11 }, (_, i) => [i]);
    assertEquals((await kv.getMany(keys.slice(1))).length, 10);
    await assertRejects(() => kv.getMany(keys), TypeError, "Too many ranges (max 10)");
  }),
);

Deno.test(
  "checks: 100",
  withKv(async (kv) => {
    const operation = kv.atomic();
    for (let i = 0; i < 100; i++) operation.check({ key: ["a"], versionstamp: null });
    assert((await operation.commit()).ok);
    operation.check({ key: ["a"], versionstamp: null });
    await assertRejects(() => operation.commit(), TypeError, "Too many checks (max 100)");
  }),
);

Deno.test(
  "mutations: 1000",
  withKv(async (kv) => {
    const operation = kv.atomic();
    for (let i = 0; i < 1000; i++) operation.set(["a", i], i);
    assert((await operation.commit()).ok);
    operation.delete(["b"]);
    await assertRejects(() => operation.commit(), TypeError, "Too many mutations (max 1000)");
  }),
);

Deno.test(
  "mutations in all: 819,200 bytes",
  withKv(async (kv) => {
    const operation = kv.atomic();
    for (let i = 0; i < 12; i++) operation.set(["a", i], new Uint8Array(65_536));
    assert((await operation.commit()).ok);
    operation.set(["b"], new Uint8Array(65_536));
    await assertRejects(
      () => operation.commit(),
      TypeError,
      "Total mutation size too large (max 819200 bytes)",
    );
    assertEquals((await kv.get(["b"])).value, null);
  }),
);

Deno.test(
  "keys in all: 81,920 bytes",
  withKv(async (kv) => {
    const operation = kv.atomic();
    // 2046 + 2 bytes each.
    for (let i = 0; i < 40; i++) operation.set([text(2044) + String(i).padStart(2, "0")], 1);
    assert((await operation.commit()).ok);
    operation.set(["b"], 1);
    await assertRejects(
      () => operation.commit(),
      TypeError,
      "Total key size too large (max 81920 bytes)",
    );
    assertEquals((await kv.get(["b"])).value, null);
  }),
);

Deno.test(
  "expireIn: a non-negative integer, within the calendar",
  withKv(async (kv) => {
    for (const bad of [-1, 1.5, NaN, Infinity, "1", null]) {
      // deno-lint-ignore no-explicit-any
      const options = { expireIn: bad as any };
      const message = `expireIn must be a non-negative integer: received ${bad}`;
      await assertRejects(() => kv.set(["a"], 1, options), TypeError, message);
      await assertRejects(async () => await kv.atomic().set(["a"], 1, options).commit(), TypeError);
    }
    await kv.set(["a"], 1, { expireIn: 1e15 });
    assertEquals((await kv.get(["a"])).value, 1);
    for (const huge of [Number.MAX_SAFE_INTEGER, 1e20, 1e300]) {
      await assertRejects(
        () => kv.set(["a"], 1, { expireIn: huge }),
        TypeError,
        "Invalid mutation: expireIn is too large: ",
      );
    }
  }),
);
