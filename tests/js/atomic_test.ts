// Atomic operations: all or nothing.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Any, keys, withKv } from "./helpers.ts";

Deno.test(
  "all mutations of a commit share its versionstamp",
  withKv(async (kv) => {
    await kv.set(["old"], 1);
    const result = await kv.atomic()
      .set(["a"], 1)
      .mutate(
        { type: "set", key: ["b"], value: 2 },
        { type: "sum", key: ["c"], value: new Deno.KvU64(3n) },
        { type: "delete", key: ["old"] },
      )
      .commit();
    assert(result.ok);
    const entries = await kv.getMany([["a"], ["b"], ["c"], ["old"]]);
    const { versionstamp } = result as Deno.KvCommitResult;
    assertEquals(
      entries.map((entry) => entry.versionstamp),
      [versionstamp, versionstamp, versionstamp, null],
    );
  }),
);

Deno.test(
  "mutations happen in order",
  withKv(async (kv) => {
    await kv.atomic().set(["a"], 1).delete(["a"]).commit();
    assertEquals((await kv.get(["a"])).value, null);
    await kv.atomic().delete(["a"]).set(["a"], 2).commit();
    assertEquals((await kv.get(["a"])).value, 2);
    await kv.atomic().set(["n"], new Deno.KvU64(5n)).sum(["n"], 1n).max(["n"], 3n).commit();
    assertEquals((await kv.get<Deno.KvU64>(["n"])).value?.value, 6n);
  }),
);

Deno.test(
  "a check that fails leaves everything as it was",
  withKv(async (kv) => {
    const { versionstamp } = await kv.set(["a"], 1);
    const absent = { key: ["b"], versionstamp: null };
    const present = { key: ["a"], versionstamp };
    assertEquals((await kv.atomic().check(present, absent).set(["a"], 2).commit()).ok, true);
    assertEquals(await kv.atomic().check(present).set(["a"], 3).commit(), { ok: false });
    assertEquals(
      await kv.atomic().set(["c"], 1).check({ key: ["a"], versionstamp: null }).commit(),
      { ok: false },
    );
    assertEquals(
      await kv.atomic().check(absent, { key: ["a"], versionstamp: "0".repeat(20) }).set(["d"], 1)
        .commit(),
      { ok: false },
    );
    assertEquals(await keys(kv.list({ prefix: [] })), "a");
    assertEquals((await kv.get(["a"])).value, 2);
  }),
);

Deno.test(
  "an entry is a check",
  withKv(async (kv) => {
    const missing = await kv.get(["a"]);
    assert((await kv.atomic().check(missing).set(["a"], 1).commit()).ok);
    assert(!(await kv.atomic().check(missing).set(["a"], 2).commit()).ok);
    const entry = await kv.get(["a"]);
    assert((await kv.atomic().check(entry).set(["a"], 2).commit()).ok);
    assert(!(await kv.atomic().check(entry).set(["a"], 3).commit()).ok);
  }),
);

Deno.test(
  "versionstamps in checks: twenty hexadecimal digits, or nothing",
  withKv(async (kv) => {
    const check = (versionstamp: Any) =>
      kv.atomic().check({ key: ["a"], versionstamp }).commit();
    for (const bad of ["", "zz", "z".repeat(20), "0".repeat(19), "0".repeat(21)]) {
      await assertRejects(() => check(bad), TypeError, "Invalid check");
    }
    await assertRejects(() => check(5), TypeError);
    assert((await check(null)).ok);
    assert((await check(undefined)).ok);
    assertEquals(await check("A".repeat(20)), { ok: false });
  }),
);

Deno.test(
  "a commit with nothing in it is a commit",
  withKv(async (kv) => {
    const first = await kv.atomic().commit();
    const second = await kv.atomic().mutate().check().commit();
    assert(first.ok && second.ok && first.versionstamp < second.versionstamp);
  }),
);

Deno.test(
  "mutations that are malformed throw at once",
  withKv(async (kv) => {
    const mutate = (mutation: Any) => () => kv.atomic().mutate(mutation);
    assertThrows(mutate({ type: "frob", key: ["a"] }), TypeError, "Invalid mutation type");
    assertThrows(mutate({ key: ["a"] }), TypeError, "Invalid mutation type");
    assertThrows(mutate({ type: "__proto__", key: ["a"] }), TypeError, "Invalid mutation type");
    for (const type of ["set", "sum", "min", "max"]) {
      assertThrows(
        mutate({ type, key: ["a"] }),
        TypeError,
        `Invalid mutation '${type}' without value`,
      );
    }
    assertThrows(
      mutate({ type: "delete", key: ["a"], value: 1 }),
      TypeError,
      "Invalid mutation 'delete' with value",
    );
    assertThrows(mutate(null), TypeError);
    assertThrows(() => kv.atomic().check(null as Any), TypeError);
    await kv.get(["a"]);
  }),
);

Deno.test(
  "an operation that is awaited without commit says so",
  withKv(async (kv) => {
    const operation: Any = kv.atomic().set(["a"], 1);
    await assertRejects(
      async () => await operation,
      TypeError,
      "'Deno.AtomicOperation' is not a promise: did you forget to call 'commit()'",
    );
    assertEquals((await kv.get(["a"])).value, null);
  }),
);

Deno.test(
  "an operation can be committed again",
  withKv(async (kv) => {
    const operation = kv.atomic().sum(["n"], 1n);
    await operation.commit();
    await operation.commit();
    assertEquals((await kv.get<Deno.KvU64>(["n"])).value?.value, 2n);
  }),
);

Deno.test(
  "an operation shows what it holds",
  withKv(async (kv) => {
    assertEquals(Deno.inspect(kv.atomic()), "AtomicOperation (empty)");
    const operation = kv.atomic()
      .check({ key: ["a", 1n], versionstamp: null }, { key: ["b"], versionstamp: "0".repeat(20) })
      .set(["a"], { a: [1, 2] }, { expireIn: 5 })
      .set(["b"], "s")
      .delete(["c"])
      .sum(["d"], 5n)
      .min(["d"], 6n)
      .max(["e"], 7n)
      .mutate({ type: "set", key: ["x"], value: new Uint8Array(3) });
    assertEquals(
      Deno.inspect(operation),
      `AtomicOperation
  check({ key: [ "a", 1n ], versionstamp: null })
  check({ key: [ "b" ], versionstamp: "00000000000000000000" })
  set([ "a" ], { a: [ 1, 2 ] }, { expireIn: 5 })
  set([ "b" ], "s")
  delete([ "c" ])
  sum([ "d" ], [Deno.KvU64: 5n])
  min([ "d" ], [Deno.KvU64: 6n])
  max([ "e" ], [Deno.KvU64: 7n])
  set([ "x" ], Uint8Array(3) [ 0, 0, 0 ])`,
    );
    await kv.get(["a"]);
  }),
);

Deno.test(
  "counters by compare and set lose no update",
  withKv(async (kv) => {
    await Promise.all(Array.from({ length: 50 }, async () => {
      while (true) {
        const entry = await kv.get<number>(["n"]);
        const next = (entry.value ?? 0) + 1;
        if ((await kv.atomic().check(entry).set(["n"], next).commit()).ok) return;
      }
    }));
    assertEquals((await kv.get(["n"])).value, 50);
  }),
);
