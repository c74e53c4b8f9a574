// Deno.KvU64, and the arithmetic on it.

import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { type Any, withKv } from "./helpers.ts";

const MAX = 2n ** 64n - 1n;

Deno.test("KvU64 takes a bigint from 0 to 2^64 - 1", () => {
  assertEquals(new Deno.KvU64(0n).value, 0n);
  assertEquals(new Deno.KvU64(MAX).value, MAX);
  assertThrows(() => new Deno.KvU64(-1n), RangeError, "Value must be a positive bigint: received -1");
  assertThrows(
    () => new Deno.KvU64(MAX + 1n),
    RangeError,
    "Value must fit in a 64-bit unsigned integer",
  );
  assertThrows(() => new Deno.KvU64(1 as Any), TypeError, "Value must be a bigint: received number");
  assertThrows(() => new Deno.KvU64("1" as Any), TypeError, "received string");
});

Deno.test("KvU64 is frozen, and acts as its value", () => {
  const u64 = new Deno.KvU64(5n);
  assert(Object.isFrozen(u64));
  assertEquals((u64 as Any) + 1n, 6n);
  assertEquals(`${u64}`, "5");
  assertEquals(Object.prototype.toString.call(u64), "[object Deno.KvU64]");
  assertEquals(Deno.inspect(u64), "[Deno.KvU64: 5n]");
  assertEquals(Deno.inspect({ a: [u64] }), "{ a: [ [Deno.KvU64: 5n] ] }");
});

Deno.test(
  "a KvU64 comes back as one",
  withKv(async (kv) => {
    await kv.set(["n"], new Deno.KvU64(MAX));
    const { value } = await kv.get<Deno.KvU64>(["n"]);
    assertInstanceOf(value, Deno.KvU64);
    assertEquals(value?.value, MAX);
  }),
);

async function u64(kv: Deno.Kv, key: Deno.KvKey) {
  return (await kv.get<Deno.KvU64>(key)).value?.value;
}

Deno.test(
  "sum adds, from nothing, and wraps at 2^64",
  withKv(async (kv) => {
    await kv.atomic().sum(["n"], 5n).commit();
    assertEquals(await u64(kv, ["n"]), 5n);
    await kv.atomic().sum(["n"], 2n).sum(["n"], 3n).commit();
    assertEquals(await u64(kv, ["n"]), 10n);
    await kv.atomic().mutate({ type: "sum", key: ["n"], value: new Deno.KvU64(MAX) }).commit();
    assertEquals(await u64(kv, ["n"]), 9n);
  }),
);

Deno.test(
  "min and max keep one of two, from nothing the operand",
  withKv(async (kv) => {
    await kv.atomic().min(["min"], 5n).max(["max"], 5n).commit();
    await kv.atomic().min(["min"], 7n).max(["max"], 3n).commit();
    assertEquals([await u64(kv, ["min"]), await u64(kv, ["max"])], [5n, 5n]);
    await kv.atomic().min(["min"], 2n).max(["max"], MAX).commit();
    assertEquals([await u64(kv, ["min"]), await u64(kv, ["max"])], [2n, MAX]);
  }),
);

Deno.test(
  "mutate sums bigints and numbers too, each with its kind",
  withKv(async (kv) => {
    const sum = (key: string, value: unknown) =>
      kv.atomic().mutate({ type: "sum", key: [key], value: value as Any }).commit();
    for (const n of [5n, 10n, -20n, 2n ** 100n]) await sum("bigint", n);
    assertEquals((await kv.get(["bigint"])).value, 2n ** 100n - 5n);
    for (const n of [1, 2.5, -0.5]) await sum("number", n);
    assertEquals((await kv.get(["number"])).value, 3);
    await kv.set(["u64"], new Deno.KvU64(5n));
    await sum("u64", 7n);
    assertEquals(await u64(kv, ["u64"]), 12n);

    await assertRejects(() => sum("number", 1n), TypeError, "Cannot sum Number with BigInt");
    await assertRejects(() => sum("bigint", 1), TypeError, "Cannot sum BigInt with Number");
    await assertRejects(() => sum("u64", -1n), TypeError, "Cannot sum KvU64 with BigInt");
    await assertRejects(() => sum("u64", 1), TypeError, "Cannot sum KvU64 with Number");
    await assertRejects(
      () => sum("number", new Deno.KvU64(1n)),
      TypeError,
      "Failed to perform 'sum' mutation on a non-U64 value in the database",
    );
    await assertRejects(
      () => sum("new", "text"),
      TypeError,
      "Some of the parameters are not valid V8 values",
    );
    await kv.set(["text"], "text");
    await assertRejects(() => sum("text", 1n), TypeError, "unsupported value type");
  }),
);

Deno.test(
  "min and max are for U64 only",
  withKv(async (kv) => {
    await kv.set(["text"], "text");
    for (const type of ["min", "max"] as const) {
      for (const value of [5n, 5, "5", new Uint8Array(8)]) {
        await assertRejects(
          () => kv.atomic().mutate({ type, key: ["n"], value: value as Any }).commit(),
          TypeError,
          `Failed to perform '${type}' mutation on a non-U64 operand`,
        );
      }
      await assertRejects(
        () => kv.atomic()[type](["text"], 1n).commit(),
        TypeError,
        `Failed to perform '${type}' mutation on a non-U64 value in the database`,
      );
    }
  }),
);

Deno.test(
  "sum, min and max check their operand at once",
  withKv(async (kv) => {
    for (const name of ["sum", "min", "max"] as const) {
      assertThrows(() => kv.atomic()[name](["n"], 1 as Any), TypeError, "Value must be a bigint");
      assertThrows(() => kv.atomic()[name](["n"], -1n), RangeError, "positive bigint");
      assertThrows(() => kv.atomic()[name](["n"], MAX + 1n), RangeError, "64-bit");
    }
    await kv.get(["n"]);
  }),
);
