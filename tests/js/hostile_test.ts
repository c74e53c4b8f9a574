// Scripts that have patched what they should not: the store works on.

import { assertEquals, assertRejects } from "@std/assert";
import { type Any, withKv } from "./helpers.ts";

/** Puts a property in the way for the time of a call. */
async function patched(target: Any, name: PropertyKey, value: Any, fn: () => Promise<void>) {
  const old = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { value, writable: true, configurable: true });
  try {
    await fn();
  } finally {
    if (old) Object.defineProperty(target, name, old);
    else delete target[name];
  }
}

const boom = () => {
  throw new Error("a patched method was called");
};

Deno.test(
  "patched prototypes are not called",
  withKv(async (kv) => {
    const targets: [Any, PropertyKey][] = [
      [Array.prototype, "map"],
      [Array.prototype, "push"],
      [Array.prototype, "pop"],
      [Array.prototype, "slice"],
      [Array.prototype, "reverse"],
      [Array.prototype, "join"],
      [Array.prototype, Symbol.iterator],
      [Number, "isInteger"],
      [Object, "freeze"],
      [Object, "hasOwn"],
      [Object.prototype, "hasOwnProperty"],
      [Uint8Array.prototype, "slice"],
      [Function.prototype, "call"],
      [Function.prototype, "apply"],
    ];
    for (const [target, name] of targets) {
      await patched(target, name, boom, async () => {
        await kv.atomic().set(["a", 1], new Uint8Array(2)).sum(["n"], 1n).commit();
        await kv.set(["b"], { x: 1 });
        await kv.get(["b"]);
        await kv.getMany([["b"], ["a", 1]]);
        const list = kv.list({ prefix: ["a"] });
        await list.next();
        list.cursor;
        await kv.delete(["b"]);
      });
    }
  }),
);

Deno.test(
  "setters on Object.prototype don't see entries",
  withKv(async (kv) => {
    await kv.set(["a"], 1);
    const seen: unknown[] = [];
    for (const name of ["key", "value", "versionstamp"]) {
      Object.defineProperty(Object.prototype, name, {
        // Or the descriptor would inherit what was defined before.
        __proto__: null,
        set(value: unknown) {
          seen.push(value);
        },
        configurable: true,
      } as Any);
    }
    try {
      const entry = await kv.get(["a"]);
      assertEquals(Object.keys(entry).length, 3);
      assertEquals(seen, []);
    } finally {
      for (const name of ["key", "value", "versionstamp"]) delete (Object.prototype as Any)[name];
    }
  }),
);

Deno.test(
  "keys with getters: what they throw goes through, what they do is survived",
  withKv(async (kv) => {
    const key: Any[] = ["a", "b"];
    const thrown = new RangeError("from the getter");
    Object.defineProperty(key, 0, {
      get() {
        throw thrown;
      },
    });
    for (const call of [() => kv.get(key), () => kv.set(key, 1), () => kv.delete(key)]) {
      const error = await assertRejects(call);
      assertEquals(error === thrown, true);
    }
    const shrinking: Any[] = ["a", "b", "c"];
    Object.defineProperty(shrinking, 0, {
      get() {
        shrinking.length = 1;
        return "a";
      },
    });
    await assertRejects(() => kv.get(shrinking), TypeError);
  }),
);

Deno.test("a handle that is closed while its key is read", async () => {
  const kv = await Deno.openKv(":memory:");
  const key: Any[] = ["a"];
  Object.defineProperty(key, 0, {
    get() {
      kv.close();
      return "a";
    },
  });
  await assertRejects(() => kv.set(key, 1), Deno.errors.BadResource);
});

Deno.test(
  "a value that writes while it is cloned",
  withKv(async (kv) => {
    const inner: Promise<unknown>[] = [];
    const value = {
      get a() {
        inner.push(kv.set(["inner"], 1));
        return 1;
      },
    };
    await kv.set(["outer"], value);
    await Promise.all(inner);
    assertEquals((await kv.get(["outer"])).value, { a: 1 });
    assertEquals((await kv.get(["inner"])).value, 1);
  }),
);
