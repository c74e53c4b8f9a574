// Objects that say they are of a class, and are not: what they are is cloned.

import { newName } from "./helpers.ts";
import { assert, assertEquals } from "@std/assert";

// deno-lint-ignore no-explicit-any
type Any = any;

const TAGS = [
  "Map",
  "Set",
  "Date",
  "RegExp",
  "Boolean",
  "Number",
  "String",
  "BigInt",
  "Symbol",
  "Error",
  "ArrayBuffer",
  "SharedArrayBuffer",
  "DataView",
  "Uint8Array",
  "Promise",
  "WeakMap",
  "Arguments",
  "Module",
  "Generator",
  "Map Iterator",
];

Deno.test("a tag does not make an object one of a class", async () => {
  using kv = await Deno.openKv(newName());
  for (const tag of TAGS) {
    const own: Any = { x: 1, size: 5, byteLength: 1e9, byteOffset: 1e9, [Symbol.toStringTag]: tag };
    class Tagged {
      x = 1;
      get [Symbol.toStringTag]() {
        return tag;
      }
    }
    for (const value of [own, new Tagged(), { inner: new Tagged() }]) {
      await kv.set(["a"], value);
      const read: Any = (await kv.get(["a"])).value;
      assertEquals((read.inner ?? read).x, 1, tag);
      assertEquals(Object.getPrototypeOf(read), Object.prototype, tag);
    }
  }
});

Deno.test("a prototype does not make an object one of a class", async () => {
  using kv = await Deno.openKv(newName());
  for (const Class of [Map, Set, Date, RegExp, Boolean, Number, String, ArrayBuffer, DataView]) {
    const value = Object.assign(Object.create(Class.prototype), { x: 1 });
    await kv.set(["a"], value);
    assertEquals((await kv.get<Any>(["a"])).value.x, 1, Class.name);
  }
});

Deno.test("patched classes are not asked for values", async () => {
  using kv = await Deno.openKv(newName());
  const boom = () => {
    throw new Error("a patched method was called");
  };
  const value = {
    map: new Map<Any, Any>([["a", new Set([1, "x"])]]),
    date: new Date(5),
    regexp: /a+/gi,
    boxed: [Object(true), Object(7), Object("s"), Object(3n)],
    buffer: new Uint8Array([1, 2, 3]).buffer,
    view: new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2),
  };
  const patches: [Any, PropertyKey][] = [
    [Map.prototype, "forEach"],
    [Map.prototype, "set"],
    [Map.prototype, "entries"],
    [Map.prototype, Symbol.iterator],
    [Set.prototype, "forEach"],
    [Set.prototype, "add"],
    [Set.prototype, Symbol.iterator],
    [Date.prototype, "valueOf"],
    [Date.prototype, "getTime"],
    [Date.prototype, Symbol.toPrimitive],
    [RegExp.prototype, "source"],
    [RegExp.prototype, "flags"],
    [RegExp.prototype, "global"],
    [Object.prototype, "toString"],
    [DataView.prototype, "byteOffset"],
    [DataView.prototype, "byteLength"],
    [DataView.prototype, "buffer"],
    [ArrayBuffer.prototype, "byteLength"],
    [globalThis, "Map"],
    [globalThis, "Set"],
    [globalThis, "Date"],
    [globalThis, "RegExp"],
    [globalThis, "Uint8Array"],
  ];
  for (const [target, name] of patches) {
    const property = Object.getOwnPropertyDescriptor(target, name)!;
    const patch = "value" in property
      ? { value: boom, configurable: true, writable: true }
      : { get: boom, configurable: true };
    let read: Any;
    Object.defineProperty(target, name, patch);
    try {
      await kv.set(["a"], value);
      read = (await kv.get(["a"])).value;
    } finally {
      Object.defineProperty(target, name, property);
    }
    assertEquals([...read.map.get("a")], [1, "x"], String(name));
    assertEquals(read.date.getTime(), 5);
    assertEquals([read.regexp.source, read.regexp.flags], ["a+", "gi"]);
    assertEquals(read.boxed.map((boxed: Any) => boxed.valueOf()), [true, 7, "s", 3n]);
    assertEquals([...new Uint8Array(read.buffer)], [1, 2, 3]);
    assertEquals([read.view.byteOffset, read.view.byteLength, read.view.getUint8(0)], [1, 2, 2]);
  }
});

Deno.test("a view is no larger than its buffer, whatever its properties say", async () => {
  using kv = await Deno.openKv(newName());
  const view = new DataView(new ArrayBuffer(8), 2, 4);
  for (const name of ["byteOffset", "byteLength"]) {
    Object.defineProperty(view, name, { value: 2 ** 30 });
  }
  await kv.set(["a"], view);
  const read = (await kv.get<DataView>(["a"])).value!;
  assertEquals([read.byteOffset, read.byteLength], [2, 4]);
  const liar: Any = {
    buffer: new ArrayBuffer(8),
    byteOffset: 2 ** 30,
    byteLength: 64,
    [Symbol.toStringTag]: "DataView",
  };
  let refused = false;
  try {
    await kv.set([liar], 1);
  } catch (error) {
    refused = error instanceof TypeError;
  }
  assert(refused);
});

Deno.test("bytes and keys are copied without their constructors", async () => {
  using kv = await Deno.openKv(newName());
  class Hash extends Uint8Array {
    constructor(text: string) {
      if (typeof text !== "string") throw new Error("wants a string");
      super(text.length);
    }
  }
  await kv.atomic().set(["a"], new Hash("abc")).commit();
  assertEquals((await kv.get<Uint8Array>(["a"])).value!.length, 3);
  const bytes: Any = new Uint8Array([1, 2]);
  const kept = new Uint8Array([7, 7]);
  bytes.constructor = { [Symbol.species]: function () { return kept; } };
  const operation = kv.atomic().set(["a"], bytes);
  kept[0] = 9;
  await operation.commit();
  assertEquals([...(await kv.get<Uint8Array>(["a"])).value!], [1, 2]);
  class Key extends Array {
    constructor(...parts: Any[]) {
      if (typeof parts[0] === "number") throw new Error("wants strings");
      super();
      this.push(...parts);
    }
  }
  const reader = kv.watch([new Key("a") as Any]).getReader();
  assertEquals([...((await reader.read()).value![0] as Any).value], [1, 2]);
  await reader.cancel();
});

Deno.test("what a conversion throws is what the script gets", async () => {
  using kv = await Deno.openKv(newName());
  const message = {
    toString() {
      throw new RangeError("boo");
    },
  };
  let caught: Any;
  try {
    await kv.set(["a"], Object.assign(new Error("a"), { message }));
  } catch (error) {
    caught = error;
  }
  assertEquals(`${caught}`, "RangeError: boo");
  let called = 0;
  const tagged = {
    get [Symbol.toStringTag]() {
      called++;
      return "x";
    },
  };
  await kv.set(["a"], tagged);
  assertEquals(called, 0);
});

Deno.test("an error without a stack is read without one", async () => {
  using kv = await Deno.openKv(newName());
  const error = new Error("m");
  error.stack = undefined;
  await kv.set(["a"], error);
  const read = (await kv.get<Error>(["a"])).value!;
  assertEquals([read.message, read.stack], ["m", undefined]);
});
