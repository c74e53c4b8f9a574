// What a script finds around the store: the web's globals and the Deno namespace.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { type Any, withFolder } from "./helpers.ts";
import data from "./data.json" with { type: "json" };

Deno.test("modules: JSON, dynamic import, import.meta", async () => {
  assertEquals(data, { answer: 42, list: [1, 2] });
  const module = await import("./helpers.ts");
  assertEquals(typeof module.withKv, "function");
  assertMatch(import.meta.url, /^file:.*\/runtime_test\.ts$/);
  assertMatch(import.meta.filename!, /runtime_test\.ts$/);
  assertEquals(import.meta.filename, `${import.meta.dirname}/runtime_test.ts`);
  assertEquals(import.meta.resolve("./x.ts"), new URL("./x.ts", import.meta.url).href);
  await assertRejects(() => import("./does_not_exist.ts" as string), TypeError, "Module not found");
});

Deno.test("timers", async () => {
  const order: string[] = [];
  await new Promise<void>((done) => {
    setTimeout(() => order.push("b"), 5);
    setTimeout(() => order.push("a"), 0);
    clearTimeout(setTimeout(() => order.push("never"), 1));
    const interval = setInterval(() => {
      order.push("i");
      clearInterval(interval);
      setTimeout(done, 10);
    }, 2);
    queueMicrotask(() => order.push("micro"));
  });
  assertEquals(order.toSorted(), ["a", "b", "i", "micro"]);
  assertEquals(order[0], "micro");
});

Deno.test("URL, URLSearchParams, URLPattern", () => {
  const url = new URL("../b?x=1&x=2#h", "http://example.com/a/c");
  assertEquals(url.href, "http://example.com/b?x=1&x=2#h");
  assertEquals(url.searchParams.getAll("x"), ["1", "2"]);
  const pattern = new URLPattern({ pathname: "/users/:id" });
  assertEquals(pattern.exec("http://a/users/7")?.pathname.groups, { id: "7" });
});

Deno.test("TextEncoder, TextDecoder, atob, btoa", () => {
  assertEquals(new TextEncoder().encode("é"), new Uint8Array([0xc3, 0xa9]));
  assertEquals(new TextDecoder("latin1").decode(new Uint8Array([0xe9])), "é");
  assertEquals(atob(btoa("hello")), "hello");
});

Deno.test("streams, Blob, File, compression", async () => {
  const text = "hello ".repeat(1000);
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  const unpacked = packed.pipeThrough(new DecompressionStream("gzip"));
  assertEquals(await new Response_(unpacked).text(), text);
  assertEquals(await new File(["a", "b"], "f").slice(1).text(), "b");
});

/** What Response would do here, without fetch. */
class Response_ {
  constructor(public body: ReadableStream<Uint8Array>) {}
  async text() {
    let text = "";
    for await (const chunk of this.body.pipeThrough(new TextDecoderStream() as Any)) text += chunk;
    return text;
  }
}

Deno.test("structuredClone, with transfer", () => {
  const value = { map: new Map([[1, new Date(5)]]) };
  assertEquals(structuredClone(value), value);
  const bytes = new Uint8Array([1, 2]);
  const moved = structuredClone(bytes, { transfer: [bytes.buffer] });
  assertEquals([moved.length, bytes.length], [2, 0]);
  assertThrows(() => structuredClone(() => {}), DOMException);
});

Deno.test("events, AbortController, MessageChannel", async () => {
  const target = new EventTarget();
  const seen: string[] = [];
  target.addEventListener("x", (event) => seen.push((event as CustomEvent).detail));
  target.dispatchEvent(new CustomEvent("x", { detail: "d" }));
  assertEquals(seen, ["d"]);
  const controller = new AbortController();
  controller.abort(new Error("reason"));
  assertThrows(() => controller.signal.throwIfAborted(), Error, "reason");
  const { port1, port2 } = new MessageChannel();
  const message = new Promise((done) => port2.onmessage = (event) => done(event.data));
  port1.postMessage({ a: [1] });
  assertEquals(await message, { a: [1] });
  port1.close();
  port2.close();
});

Deno.test("performance and crypto", () => {
  const start = performance.now();
  assert(performance.now() >= start);
  assertMatch(crypto.randomUUID(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  assert(bytes.some((byte) => byte !== 0));
  assertThrows(() => crypto.getRandomValues(new Uint8Array(65537)), DOMException);
  assertThrows(() => crypto.getRandomValues(new Float32Array(1) as Any), DOMException);
});

Deno.test("the global object is an event target, and hides the runtime's insides", () => {
  assertInstanceOf(globalThis, EventTarget);
  let heard = false;
  globalThis.addEventListener("custom", () => heard = true, { once: true });
  globalThis.dispatchEvent(new Event("custom"));
  assert(heard);
  for (const name of ["__bootstrap", "__kvInternals", "bootstrap"]) assert(!(name in globalThis));
  assertEquals((Deno as Any).core, undefined);
  const seen = Object.keys(globalThis);
  assert(!seen.includes("Blob") && seen.includes("setTimeout"));
});

Deno.test("files", withFolder(async (folder) => {
  const path = `${folder}/a.txt`;
  await Deno.writeTextFile(path, "one");
  await Deno.writeTextFile(path, " two", { append: true });
  assertEquals(await Deno.readTextFile(path), "one two");
  await Deno.writeFile(`${folder}/b`, new Uint8Array([1, 2]));
  assertEquals(await Deno.readFile(`${folder}/b`), new Uint8Array([1, 2]));
  await Deno.mkdir(`${folder}/c/d`, { recursive: true });
  const info = await Deno.stat(path);
  assertEquals([info.isFile, info.size], [true, 7]);
  const names = (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name);
  assertEquals(names.toSorted(), ["a.txt", "b", "c"]);
  await Deno.remove(`${folder}/c`, { recursive: true });
  await assertRejects(() => Deno.stat(`${folder}/c`), Deno.errors.NotFound);
  await assertRejects(() => Deno.mkdir(folder), Deno.errors.AlreadyExists);
  const temp = await Deno.makeTempFile({ dir: folder, suffix: ".x" });
  assertMatch(temp, /\.x$/);
}));

Deno.test("the process", () => {
  Deno.env.set("KV_RUNTIME_TEST", "value");
  assertEquals(Deno.env.get("KV_RUNTIME_TEST"), "value");
  Deno.env.delete("KV_RUNTIME_TEST");
  assertEquals(Deno.env.get("KV_RUNTIME_TEST"), undefined);
  assertEquals(Deno.args, []);
  assert(Deno.pid > 0);
  assertEquals(typeof Deno.cwd(), "string");
  assertMatch(Deno.build.target, new RegExp(Deno.build.arch));
  assertMatch(Deno.version.deno, /^\d+\.\d+\.\d+/);
  assertMatch(Deno.version.v8, /./);
  assertMatch(Deno.mainModule, /^file:/);
  assert(Deno.memoryUsage().heapUsed > 0);
  assert(new Deno.errors.NotFound("m") instanceof Error);
  assertEquals(new Deno.errors.NotFound("m").name, "NotFound");
});

Deno.test("signals", async () => {
  let listener = () => {};
  const signal = new Promise<void>((done) => listener = done);
  Deno.addSignalListener("SIGUSR1", listener);
  Deno.removeSignalListener("SIGUSR1", listener);
  listener();
  await signal;
});

Deno.test("inspect", () => {
  assertEquals(Deno.inspect({ a: 1, b: ["x", new Map([[1, 2]])] }), '{ a: 1, b: [ "x", Map(1) { 1 => 2 } ] }');
});

Deno.test({ name: "a test that is ignored", ignore: true, fn: () => assert(false) });

Deno.test("steps", async (t) => {
  assertEquals(t.name, "steps");
  const seen: string[] = [];
  assertEquals(await t.step("one", (t) => void seen.push(t.parent!.name)), true);
  await t.step(async function two(t) {
    await t.step({ name: "inner", fn: () => void seen.push("inner") });
  });
  assertEquals(await t.step({ name: "three", ignore: true, fn: () => assert(false) }), false);
  assertEquals(seen, ["steps", "inner"]);
});
