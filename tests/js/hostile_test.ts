// The store keeps working when a script patches built-in objects.

import { assertEquals, assertRejects } from "@std/assert";
import { type Any, collect, isRemote, withKv } from "./helpers.ts";

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
      [Function.prototype, "apply"],
    ];
    // deno_core itself calls it in every op that waits.
    if (!isRemote) targets.push([Function.prototype, "call"]);
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
  "patched prototypes are not called by queues and watchers",
  withKv(async (kv) => {
    const targets: [Any, PropertyKey][] = [
      [Array.prototype, "map"],
      [Array.prototype, "push"],
      [Array.prototype, "slice"],
      [Array.prototype, Symbol.iterator],
      [Promise.prototype, "then"],
      [Promise.prototype, "finally"],
      [Promise, "resolve"],
      [String.prototype, "split"],
      // Not Function.prototype.call: deno_core calls it, in every op that waits.
      [Function.prototype, "apply"],
    ];
    let arrived: (message: unknown) => void;
    const listening = kv.listenQueue((message) => arrived(message));
    for (const [i, [target, name]] of targets.entries()) {
      const reader = kv.watch([["a"]]).getReader();
      await patched(target, name, boom, async () => {
        const message = new Promise((resolve) => arrived = resolve);
        await kv.enqueue(i, { keysIfUndelivered: [["lost"]], backoffSchedule: [1] });
        if (await message !== i) throw new Error("another message came");
        await reader.read();
        await kv.set(["a"], i);
        const { value } = await reader.read();
        if (value?.[0].value !== i) throw new Error("another value came");
      });
      await reader.cancel();
    }
    kv.close();
    await listening;
  }),
);

Deno.test(
  "a handler may throw anything, and its message still ends",
  withKv(async (kv) => {
    const thrown: Any[] = [
      undefined,
      null,
      Symbol("x"),
      Object.create(null),
      new Proxy({}, { get: boom, getPrototypeOf: boom, has: boom }),
      {
        get stack() {
          return boom();
        },
        toString: boom,
      },
    ];
    let count = 0;
    const listening = kv.listenQueue((i: number) => {
      count++;
      throw thrown[i];
    });
    for (const i of thrown.keys()) {
      await kv.enqueue(i, { backoffSchedule: [], keysIfUndelivered: [["lost", i]] });
    }
    const deadline = Date.now() + 10_000;
    const lost = () => kv.getMany(thrown.map((_, i) => ["lost", i]));
    while ((await lost()).some((entry) => entry.value === null)) {
      if (Date.now() > deadline) throw new Error("a message has not ended");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assertEquals(count, thrown.length);
    kv.close();
    await listening;
  }),
);

Deno.test(
  "a handler that closes, listens and enqueues while it is at work",
  withKv(async (kv) => {
    const seen: unknown[] = [];
    let inner: Promise<void> | undefined;
    const listening = kv.listenQueue(async (message) => {
      seen.push(message);
      if (message === "first") {
        inner = kv.listenQueue((message) => void seen.push(message));
        await kv.enqueue("second");
        while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
        kv.close();
      }
    });
    await kv.enqueue("first");
    await listening;
    await inner;
    assertEquals(seen, ["first", "second"]);
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

Deno.test(
  "proxies that throw, in keys, options and values, are errors and no end",
  withKv(async (kv) => {
    const hostile: Any = new Proxy({}, {
      get() {
        throw new RangeError("get");
      },
      has() {
        throw new RangeError("has");
      },
      ownKeys() {
        throw new RangeError("ownKeys");
      },
    });
    const revoked = (target: object): Any => {
      const { proxy, revoke } = Proxy.revocable(target, {});
      revoke();
      return proxy;
    };
    const deep = (depth: number) => {
      let value: unknown = 1;
      for (let i = 0; i < depth; i++) value = [value];
      return value;
    };
    const sparse: Any = [];
    sparse[2 ** 32 - 2] = 1;
    await kv.set(["kept"], 1);

    const calls: [() => unknown, new () => Error][] = [
      [() => kv.get(new Proxy(["a"], {}) as Any), TypeError],
      [() => kv.get(["a", new Proxy(new Uint8Array(1), {})]), TypeError],
      [() => kv.get(hostile), TypeError],
      [() => kv.get(revoked([])), TypeError],
      [() => kv.get(sparse), TypeError],
      [() => kv.get(["a"], hostile), RangeError],
      [() => kv.set(["a"], 1, hostile), RangeError],
      [() => kv.set(["a"], hostile), Error],
      [() => kv.set(["a"], new Proxy({ a: 1 }, {})), TypeError],
      [() => kv.set(["a"], revoked({})), TypeError],
      [() => kv.set(["a"], deep(100_000)), RangeError],
      [() => collect(kv.list(hostile)), TypeError],
      [() => collect(kv.list({ prefix: [] }, hostile)), RangeError],
      [() => kv.atomic().check(hostile).commit(), RangeError],
      [() => kv.atomic().mutate(hostile).commit(), RangeError],
      [() => kv.enqueue(1, hostile), RangeError],
      [() => kv.enqueue(hostile), Error],
      [() => kv.watch(hostile), TypeError],
    ];
    for (const [call, expected] of calls) {
      await assertRejects(async () => await call(), expected, undefined, String(call));
    }
    const entries = await collect(kv.list({ prefix: [] }));
    assertEquals(entries.map((entry) => entry.key), [["kept"]]);
  }),
);
