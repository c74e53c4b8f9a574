// list: selectors, options, batches and cursors.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Any, collect, keys, withKv } from "./helpers.ts";

/** A test on a database that holds a, a/0 … a/2, b/0 … e/2. */
function withLetters(fn: (kv: Deno.Kv) => Promise<void>) {
  return withKv(async (kv) => {
    const operation = kv.atomic().set(["a"], "a");
    for (const letter of ["a", "b", "c", "d", "e"]) {
      for (let i = 0; i < 3; i++) operation.set([letter, i], `${letter}${i}`);
    }
    await operation.commit();
    await fn(kv);
  });
}

Deno.test(
  "selectors",
  withLetters(async (kv) => {
    const list = (selector: Deno.KvListSelector, options?: Deno.KvListOptions) =>
      keys(kv.list(selector, options));
    assertEquals(await list({ prefix: ["a"] }), "a/0 a/1 a/2");
    assertEquals(await list({ prefix: ["a"] }, { reverse: true }), "a/2 a/1 a/0");
    assertEquals(await list({ prefix: ["a"], start: ["a", 1] }), "a/1 a/2");
    assertEquals(await list({ prefix: ["a"], end: ["a", 1] }), "a/0");
    assertEquals(await list({ start: ["a"], end: ["b", 1] }), "a a/0 a/1 a/2 b/0");
    assertEquals(await list({ start: ["d", 2], end: ["zz"] }, { reverse: true }), "e/2 e/1 e/0 d/2");
    assertEquals(await list({ start: ["b", 1], end: ["b", 1] }), "");
    assertEquals(await list({ prefix: ["none"] }), "");
    assertEquals((await collect(kv.list({ prefix: [] }))).length, 16);
    assertEquals(await list({ prefix: ["a"], start: undefined } as Any), "a/0 a/1 a/2");
  }),
);

Deno.test(
  "selectors that mean nothing throw at once",
  withKv(async (kv) => {
    const either = "Selector must specify either 'prefix' or both 'start' and 'end' key";
    for (const selector of [{}, { start: ["a"] }, { end: ["a"] }, Object.create({ prefix: [] })]) {
      assertThrows(() => kv.list(selector as Any), TypeError, either);
    }
    assertThrows(
      () => kv.list({ prefix: ["a"], start: ["a", 1], end: ["a", 2] } as Any),
      TypeError,
      "Selector can not specify both 'start' and 'end' key when specifying 'prefix'",
    );
    assertThrows(() => kv.list(null as Any), TypeError);
    await kv.get(["a"]);
  }),
);

Deno.test(
  "selectors that contradict themselves reject at the first read",
  withKv(async (kv) => {
    const cases: [Deno.KvListSelector, string][] = [
      [{ start: ["b"], end: ["a"] }, "Start key is greater than end key"],
      [{ prefix: ["a"], start: ["b", 1] }, "Start key is not in the keyspace defined by prefix"],
      [{ prefix: ["a"], start: ["a"] }, "Start key is not in the keyspace defined by prefix"],
      [{ prefix: ["a"], end: ["b", 1] }, "End key is not in the keyspace defined by prefix"],
      [{ prefix: ["a"], end: ["a"] }, "End key is not in the keyspace defined by prefix"],
    ];
    for (const [selector, message] of cases) {
      await assertRejects(() => kv.list(selector).next(), TypeError, message);
    }
  }),
);

Deno.test(
  "limit and batchSize must be positive integers",
  withLetters(async (kv) => {
    for (const bad of [0, -1, 1.5, NaN, Infinity, "3"] as Any[]) {
      assertThrows(
        () => kv.list({ prefix: [] }, { limit: bad }),
        Error,
        `Limit must be a positive integer: received ${bad}`,
      );
      assertThrows(
        () => kv.list({ prefix: [] }, { batchSize: bad }),
        Error,
        `batchSize must be a positive integer: received ${bad}`,
      );
    }
    assertEquals(await keys(kv.list({ prefix: ["a"] }, { limit: 2 })), "a/0 a/1");
    assertEquals((await collect(kv.list({ prefix: [] }, { limit: 5000 }))).length, 16);
    for (const batchSize of [1, 2, 3, 15, 16, 17, 500, 1000]) {
      assertEquals((await collect(kv.list({ prefix: [] }, { batchSize }))).length, 16);
      assertEquals((await collect(kv.list({ prefix: [] }, { batchSize, limit: 7 }))).length, 7);
    }
    for (const batchSize of [1001, 2 ** 31, 2 ** 32 + 1]) {
      await assertRejects(
        () => collect(kv.list({ prefix: [] }, { batchSize })),
        TypeError,
        "Too many entries (max 1000)",
      );
    }
  }),
);

Deno.test(
  "a long list is complete and in order, in batches of every size",
  withKv(async (kv) => {
    for (let i = 0; i < 3; i++) {
      const operation = kv.atomic();
      for (let j = 0; j < 400; j++) operation.set(["n", i * 400 + j], j);
      await operation.commit();
    }
    const numbers = Array.from({ length: 1200 }, (_, i) => i);
    for (const batchSize of [undefined, 7, 128, 129, 1000]) {
      const list = kv.list({ prefix: ["n"] }, { batchSize });
      assertEquals((await collect(list)).map((entry) => entry.key[1]), numbers);
      const reverse = kv.list({ prefix: ["n"] }, { batchSize, reverse: true, limit: 600 });
      assertEquals(
        (await collect(reverse)).map((entry) => entry.key[1]),
        numbers.toReversed().slice(0, 600),
      );
    }
  }),
);

Deno.test(
  "cursors",
  withLetters(async (kv) => {
    const list = kv.list({ prefix: ["a"] });
    assertThrows(() => list.cursor, Error, "Cannot get cursor before first iteration");
    await list.next();
    const cursor = list.cursor;
    assertEquals(cursor, "IYAAAAAAAAAA");
    await list.next();
    assertEquals(list.cursor, "Ib_wAAAAAAAA");
    await list.next();
    assertEquals((await list.next()).done, true);
    assertEquals(list.cursor, "");
    assertEquals(await list.next(), { done: true, value: undefined });
    assertEquals(await keys(kv.list({ prefix: ["a"] }, { cursor })), "a/1 a/2");
    assertEquals(await keys(kv.list({ prefix: ["a"] }, { cursor, reverse: true })), "");
    assertEquals(await keys(kv.list({ prefix: ["a"] }, { cursor: "" })), "a/0 a/1 a/2");

    const limited = kv.list({ prefix: ["a"] }, { limit: 2 });
    await collect(limited);
    assertEquals(limited.cursor, "Ib_wAAAAAAAA");

    const range = { start: ["a", 1], end: ["c", 1] };
    const inRange = kv.list(range);
    await inRange.next();
    assertEquals(inRange.cursor, "YQAhv_AAAAAAAAA=");
    assertEquals(await keys(kv.list(range, { cursor: inRange.cursor })), "a/2 b/0 b/1 b/2 c/0");
  }),
);

Deno.test(
  "pages by cursor are the whole list, forwards and backwards",
  withLetters(async (kv) => {
    for (const reverse of [false, true]) {
      const whole = await keys(kv.list({ prefix: [] }, { reverse }));
      const pages: string[] = [];
      let cursor: string | undefined;
      do {
        const list = kv.list({ prefix: [] }, { limit: 3, cursor, reverse });
        const page = await keys(list);
        if (page) pages.push(page);
        cursor = list.cursor;
      } while (cursor !== "");
      assertEquals(pages.join(" "), whole);
    }
  }),
);

Deno.test(
  "cursors that are none, or point outside, are refused",
  withLetters(async (kv) => {
    for (const cursor of ["!!", "AAA", "A"]) {
      await assertRejects(
        () => collect(kv.list({ prefix: ["a"] }, { cursor })),
        TypeError,
        "invalid cursor",
      );
    }
    for (const cursor of [5, {}, "\u1234"] as Any[]) {
      await assertRejects(() => collect(kv.list({ prefix: ["a"] }, { cursor })), TypeError);
    }
    const cursor = "YQAhv_AAAAAAAAA=";
    await assertRejects(
      () => collect(kv.list({ start: ["b", 1], end: ["c", 1] }, { cursor })),
      TypeError,
      "cursor out of bounds",
    );
    await assertRejects(
      () => collect(kv.list({ start: ["a"], end: ["a", 1] }, { cursor, reverse: true })),
      TypeError,
      "cursor out of bounds",
    );
  }),
);

Deno.test(
  "a list does not change with the caller's selector",
  withLetters(async (kv) => {
    const prefix = ["a"];
    const list = kv.list({ prefix }, { batchSize: 1 });
    await list.next();
    prefix[0] = "b";
    assertEquals(await keys(list), "a/1 a/2");
  }),
);

Deno.test(
  "the iterator",
  withLetters(async (kv) => {
    const list: Any = kv.list({ prefix: ["a"] });
    assert(list instanceof (Deno as Any).KvListIterator);
    assert(list[Symbol.asyncIterator]() === list);
    assertThrows(() => new (Deno as Any).KvListIterator(), TypeError);
    assertEquals(await keys(list), "a/0 a/1 a/2");
    assertEquals(await keys(list), "");
  }),
);

Deno.test(
  "a list ends whose start begins its end",
  withKv(async (kv) => {
    await kv.set(["a"], 1);
    for (const reverse of [false, true]) {
      const selector = { start: ["a"], end: ["a", "b"] };
      const list = kv.list(selector, { batchSize: 1, limit: 5, reverse });
      assertEquals((await collect(list)).length, 1);
    }
  }),
);
