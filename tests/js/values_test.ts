// What a value is: everything a structured clone takes comes back equal, the rest is refused.

import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { type Any, withKv } from "./helpers.ts";

async function roundTrip(kv: Deno.Kv, value: unknown): Promise<Any> {
  await kv.set(["value"], value);
  return (await kv.get(["value"])).value;
}

const values: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  booleans: [true, false, Object(true)],
  numbers: [0, -0, 1, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 31, -(2 ** 31), 2 ** 53, Object(1)],
  bigints: [0n, 1n, -1n, 2n ** 64n, -(2n ** 200n)],
  strings: ["", "a", "é", "日本語", "😀", "\0", "\ud800", Object("boxed")],
  dates: [new Date(0), new Date(NaN), new Date(8.64e15)],
  "regular expressions": [/a/, /(?<n>.)\/[\]]/dgimsuy],
  maps: new Map<unknown, unknown>([["a", 1], [{ k: 1 }, new Map()], [NaN, undefined]]),
  sets: new Set<unknown>([1, "1", new Set([2])]),
  objects: { a: 1, b: { c: [1, { d: null }] }, "": 0, 5: 6, "__proto__x": 1 },
  "array buffers": [new ArrayBuffer(0), new Uint8Array([1, 2, 3]).buffer],
  views: [
    new Uint8Array([1, 2]),
    new Uint8ClampedArray([255]),
    new Int8Array([-1]),
    new Uint16Array([65535]),
    new Int16Array([-2]),
    new Uint32Array([4294967295]),
    new Int32Array([-3]),
    new Float32Array([1.5]),
    new Float64Array([Math.PI]),
    new BigInt64Array([-4n]),
    new BigUint64Array([2n ** 64n - 1n]),
    new DataView(new Uint8Array([0, 1, 2, 3]).buffer, 1, 2),
  ],
};
for (const [name, value] of Object.entries(values)) {
  Deno.test(
    `values: ${name}`,
    withKv(async (kv) => assertEquals(await roundTrip(kv, value), value)),
  );
}

Deno.test(
  "a Uint8Array is stored as it is, and only what the view shows",
  withKv(async (kv) => {
    const whole = new Uint8Array([1, 2, 3, 4]);
    const value = await roundTrip(kv, whole.subarray(1, 3));
    assertInstanceOf(value, Uint8Array);
    assertEquals(value, new Uint8Array([2, 3]));
    assertEquals(value.buffer.byteLength, 2);
    assertEquals(await roundTrip(kv, new Uint8Array()), new Uint8Array());
  }),
);

Deno.test(
  "sparse arrays and arrays with properties",
  withKv(async (kv) => {
    // deno-lint-ignore no-sparse-arrays
    const array: Any = [1, , 3];
    array.extra = "x";
    const value = await roundTrip(kv, array);
    assertEquals(value.length, 3);
    assert(!(1 in value));
    assertEquals(value.extra, "x");
    assertEquals((await roundTrip(kv, new Array(1000))).length, 1000);
  }),
);

Deno.test(
  "cyclic objects, and objects that are met twice",
  withKv(async (kv) => {
    const object: Any = { list: [] };
    object.self = object;
    object.list.push(object, object.list);
    object.map = new Map([[object, object]]);
    const value = await roundTrip(kv, object);
    assert(value.self === value);
    assert(value.list[0] === value && value.list[1] === value.list);
    assert(value.map.get(value) === value);
  }),
);

Deno.test(
  "errors keep their class, message, stack and cause",
  withKv(async (kv) => {
    for (const Class of [Error, TypeError, RangeError, SyntaxError, EvalError, URIError]) {
      const error = new Class("message", { cause: { code: 1 } });
      const value = await roundTrip(kv, { error });
      assertInstanceOf(value.error, Class);
      assertEquals(value.error.message, "message");
      assertEquals(value.error.stack, error.stack);
      assertEquals(value.error.cause, { code: 1 });
    }
  }),
);

Deno.test(
  "host objects: Blob, File, DOMException",
  withKv(async (kv) => {
    const blob = await roundTrip(kv, new Blob(["hello"], { type: "text/plain" }));
    assertInstanceOf(blob, Blob);
    assertEquals([await blob.text(), blob.type], ["hello", "text/plain"]);
    const file = await roundTrip(kv, [new File(["f"], "f.txt", { lastModified: 5 })]);
    assertInstanceOf(file[0], File);
    assertEquals([await file[0].text(), file[0].name, file[0].lastModified], ["f", "f.txt", 5]);
    const exception = await roundTrip(kv, { e: new DOMException("message", "AbortError") });
    assertInstanceOf(exception.e, DOMException);
    assertEquals([exception.e.name, exception.e.message], ["AbortError", "message"]);
  }),
);

Deno.test(
  "an instance of a class is stored as a plain object",
  withKv(async (kv) => {
    class Point {
      #secret = 1;
      constructor(public x: number) {}
      get secret() {
        return this.#secret;
      }
    }
    const value = await roundTrip(kv, new Point(5));
    assertEquals(Object.getPrototypeOf(value), Object.prototype);
    assertEquals(value, { x: 5 });
  }),
);

Deno.test(
  "what can't be cloned is refused, and nothing is written",
  withKv(async (kv) => {
    await kv.set(["value"], "before");
    const refused: [unknown, string][] = [
      [() => 1, " could not be cloned."],
      [Symbol("s"), "Symbol(s) could not be cloned."],
      [{ inside: [new WeakMap()] }, "#<WeakMap> could not be cloned."],
      [new WeakSet(), "#<WeakSet> could not be cloned."],
      [new WeakRef({}), "#<WeakRef> could not be cloned."],
      [Promise.resolve(), "#<Promise> could not be cloned."],
      [new Proxy({}, {}), "#<Object> could not be cloned."],
      [new FinalizationRegistry(() => {}), "#<FinalizationRegistry> could not be cloned."],
      [[].values(), "[object Array Iterator] could not be cloned."],
      [new Map().values(), "[object Map Iterator] could not be cloned."],
      [(async function* () {})(), "[object AsyncGenerator] could not be cloned."],
      [new Intl.NumberFormat("en"), "#<NumberFormat> could not be cloned."],
      [new (globalThis as Any).DisposableStack(), "#<DisposableStack> could not be cloned."],
      [new ReadableStream(), "Unsupported object type"],
    ];
    for (const [value, message] of refused) {
      await assertRejects(() => kv.set(["value"], value), TypeError, message);
      assertThrows(() => kv.atomic().set(["value"], value), TypeError, message);
    }
    await assertRejects(() => kv.set(["value"], new SharedArrayBuffer(1)), Error, "SharedArrayBuffer");
    assertEquals((await kv.get(["value"])).value, "before");
  }),
);

Deno.test(
  "what a getter in a value throws goes through, the same object",
  withKv(async (kv) => {
    const thrown = new RangeError("from the getter");
    const value = {
      get bad() {
        throw thrown;
      },
    };
    const error = await assertRejects(() => kv.set(["value"], value));
    assert(error === thrown);
    assertEquals((await kv.get(["value"])).value, null);
  }),
);

Deno.test(
  "a value is taken when it is set, not when it is committed",
  withKv(async (kv) => {
    const value = { list: [1] };
    const array = new Uint8Array([1]);
    const operation = kv.atomic().set(["object"], value);
    value.list.push(2);
    const written = kv.set(["bytes"], array);
    array[0] = 9;
    await operation.commit();
    await written;
    assertEquals((await kv.get(["object"])).value, { list: [1] });
    assertEquals((await kv.get(["bytes"])).value, new Uint8Array([1]));
  }),
);

Deno.test(
  "every read makes new objects",
  withKv(async (kv) => {
    await kv.set(["value"], { n: 1 });
    const first = await kv.get<Any>(["value"]);
    first.value.n = 2;
    assertEquals((await kv.get<Any>(["value"])).value, { n: 1 });
  }),
);

Deno.test(
  "nested objects, and what is nested too deep",
  withKv(async (kv) => {
    const nested = (depth: number) => {
      let value: Any = "bottom";
      for (let i = 0; i < depth; i++) value = { value };
      return value;
    };
    await kv.set(["value"], nested(50));
    assertEquals((await kv.get(["value"])).value, nested(50));
    await assertRejects(
      () => kv.set(["value"], nested(100_000)),
      RangeError,
      "Maximum call stack size exceeded",
    );
    assertEquals((await kv.get(["value"])).value, nested(50));
  }),
);
