// hostile.js SEED CASES: random calls with arguments that run code when they are read, while prototypes are patched
// by functions that run code when they are called. That code detaches buffers, changes what is being read, calls
// the database, closes handles, and throws.
//
// The answers are not checked. The process must go on, every call must settle, an atomic operation must be done whole
// or not at all, and values stored earlier must still be there.
import { Random } from "./random.js";

const [seed, cases] = Deno.args.map(Number);
const random = new Random(seed);
const PATIENCE_MS = 10_000;

// A patched promise may be rejected before anything can wait for it.
addEventListener("unhandledrejection", (event) => event.preventDefault());

const kv = await Deno.openKv("hostile.sqlite3");
const sentinel = { text: "there", bytes: new Uint8Array([1, 2, 3]), map: new Map([[1n, [true]]]) };
await kv.set(["sentinel"], sentinel);
const expected = Deno.inspect(sentinel);
// The mark by which deno_core knows the objects of extensions.
const HOST_OBJECT = Symbol.for("Deno.core.hostObject");

// Taken before anything is patched.
const { apply, ownKeys, getPrototypeOf, defineProperty, deleteProperty, getOwnPropertyDescriptor } = Reflect;
const then = Promise.prototype.then;
const { transfer } = ArrayBuffer.prototype;
const { setPrototypeOf } = Object;
const setTimer = setTimeout;

/** Objects that the code of the script can spoil while they are read. */
let spoilable = [];
/** A handle that it may close. */
let doomed;
let depth = 0;
/** Mischief that makes more promises would go on for ever where promises make mischief. */
let left;
/** No mischief outside of calls: the script itself has to go on. */
let isActive = false;
let isThrowing = false;

function ignore() {}

/** Calls without waiting, and without an unhandled rejection. */
function quietly(call) {
  try {
    const promise = call();
    if (promise instanceof Promise) apply(then, promise, [ignore, ignore]);
  } catch {
    // It may.
  }
}

const MISCHIEF = [
  () => spoil(random.pick(spoilable)),
  () => spoil(random.pick(spoilable)),
  () => quietly(() => kv.get(["sentinel"])),
  () => quietly(() => kv.set(["other", random.below(5)], { a: [1, { b: 2 }] })),
  () => quietly(() => kv.list({ prefix: [] }).next()),
  () => quietly(() => kv.atomic().set(["other"], 1).sum(["sum"], 1n).commit()),
  () => quietly(() => doomed.close()),
  () => quietly(() => doomed.get(["sentinel"])),
  () => Array.from({ length: 200 }, (_, i) => ({ i })),
  () => {
    if (isThrowing) throw new Error("mischief");
  },
];

function mischief() {
  if (!isActive || depth > 3 || left === 0) return;
  depth++;
  left--;
  try {
    random.pick(MISCHIEF)();
  } finally {
    depth--;
  }
}

function spoil(target) {
  if (target instanceof ArrayBuffer) {
    if (target.resizable && random.chance(60)) target.resize(random.below(target.maxByteLength + 1));
    else if (!target.detached) apply(transfer, target, []);
  } else if (Array.isArray(target)) {
    target.length = random.below(target.length + 2);
  } else if (target instanceof Map || target instanceof Set) {
    target.clear();
  } else if (target !== undefined) {
    for (const name of ownKeys(target)) deleteProperty(target, name);
  }
}

const NAMES = [
  "0", "1", "then", "key", "value", "versionstamp", "type", "get", "set", "writable", "enumerable", "configurable",
  "expireIn", "delay", "backoffSchedule", "keysIfUndelivered", "limit", "cursor", "consistency", "batchSize",
  "reverse", "prefix", "start", "end", "raw", "name", "message", "cause", "stack", "length", "toJSON",
  "constructor", Symbol.toPrimitive, Symbol.iterator, Symbol.asyncIterator, Symbol.species, Symbol.toStringTag,
  Symbol.isConcatSpreadable, HOST_OBJECT,
];
const TypedArray = getPrototypeOf(Uint8Array);
// Not Function.prototype: deno_core calls asynchronous ops by its `call`, and takes two of them for one if that calls
// another.
const PROTOTYPES = [
  Array, Promise, TypedArray, Uint8Array, ArrayBuffer, SharedArrayBuffer, DataView, Map, Set, BigInt, Number,
  String, Boolean, Date, RegExp, Error, TypeError, Deno.Kv, Deno.AtomicOperation, Deno.KvU64,
  Deno.KvListIterator, ReadableStream,
].map((type) => type.prototype);

/** What the script itself needs to wait for a promise: these run code, and go on as ever. */
const isGentle = (object, name) =>
  name === "then" || name === "constructor" || object === Promise.prototype;

/** Puts code in the place of a property; returns how to undo it. */
function patch(object, name) {
  const before = getOwnPropertyDescriptor(object, name);
  if (before !== undefined) setPrototypeOf(before, null);
  if (before !== undefined && !before.configurable) return ignore;
  const original = before?.value;
  const gentle = isGentle(object, name);
  const answer = gentle ? 0 : random.below(4);
  function run(self, rest) {
    mischiefUnless(gentle);
    if (!isActive) return typeof original === "function" ? apply(original, self, rest) : original;
    if (answer === 1) return random.pick([undefined, null, 1, -1, "x", {}, [], 1n]);
    if (answer === 2 && isThrowing) throw new TypeError("patched");
    return typeof original === "function" ? apply(original, self, rest) : original;
  }
  const descriptor = typeof original === "function"
    ? {
      value(...rest) {
        return run(this, rest);
      },
      writable: true,
    }
    : {
      get() {
        mischiefUnless(gentle);
        if (before?.get !== undefined && (answer !== 1 || !isActive)) return apply(before.get, this, []);
        return answer === 1 && isActive ? random.pick([undefined, null, 7, {}, () => 5]) : original;
      },
      set(value) {
        mischiefUnless(gentle);
        defineProperty(this, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
      },
    };
  defineProperty(object, name, { __proto__: null, ...descriptor, enumerable: false, configurable: true });
  return () => before === undefined ? deleteProperty(object, name) : defineProperty(object, name, before);
}

function mischiefUnless(gentle) {
  const before = isThrowing;
  if (gentle) isThrowing = false;
  try {
    mischief();
  } finally {
    isThrowing = before;
  }
}

/** Returns how to undo it all, and how to undo what the event loop itself does not survive: deno_core's queues read
 * beyond the ends of arrays. */
function patchSome() {
  const undo = [];
  const undoIndexes = [];
  for (let i = random.below(5); i > 0; i--) {
    const object = random.chance(60) ? Object.prototype : random.pick(PROTOTYPES);
    const own = ownKeys(object).filter((name) => object !== Object.prototype || NAMES.includes(name));
    const name = random.chance(50) && own.length > 0 ? random.pick(own) : random.pick(NAMES);
    (name === "0" || name === "1" ? undoIndexes : undo).push(patch(object, name));
  }
  const all = (list) => () => {
    isActive = false;
    for (let i = list.length - 1; i >= 0; i--) list[i]();
  };
  return { undo: all(undo), undoIndexes: all(undoIndexes) };
}

function keep(object) {
  spoilable.push(object);
  return object;
}

function buffer() {
  return keep(random.chance(40) ? new ArrayBuffer(8, { maxByteLength: 64 }) : new ArrayBuffer(random.below(40)));
}

/** An object that runs code when it is read. */
function trap(target) {
  switch (random.below(4)) {
    case 0: {
      const handler = {};
      for (const name of ["get", "has", "ownKeys", "getOwnPropertyDescriptor", "getPrototypeOf"]) {
        if (random.chance(50)) {
          handler[name] = (...rest) => {
            mischief();
            return Reflect[name](...rest);
          };
        }
      }
      return new Proxy(target, handler);
    }
    case 1: {
      const name = Array.isArray(target) ? String(random.below(target.length + 1)) : random.pick(["a", "value", "0"]);
      defineProperty(target, name, {
        get() {
          mischief();
          return random.pick([1, "text", undefined, random.pick(spoilable)]);
        },
        enumerable: true,
        configurable: true,
      });
      return target;
    }
    case 2:
      target[HOST_OBJECT] = random.pick([true, 1, "KvU64", "Blob", {}, () => 1]);
      return target;
    default:
      return target;
  }
}

function value(levels = 0) {
  const inner = () => value(levels + 1);
  switch (random.below(levels > 3 ? 6 : 14)) {
    case 0:
      return random.pick([1, "text", 2n ** 70n, true, null, undefined, NaN]);
    case 1:
      return new Uint8Array(buffer());
    case 2:
      return new DataView(buffer());
    case 3:
      return buffer();
    case 4:
      return random.pick([new Date(0), /a/g, new Error("e"), new Deno.KvU64(3n), new Number(1)]);
    case 5:
      return new Float64Array(random.below(5));
    case 6:
      return keep(new Map(random.some(3, () => [inner(), inner()])));
    case 7:
      return keep(new Set(random.some(3, inner)));
    case 8:
    case 9:
      return trap(keep(random.some(4, inner)));
    case 10: {
      const error = new TypeError("message", { cause: inner() });
      return trap(error);
    }
    default:
      return trap(keep({ a: inner(), value: inner(), 0: inner() }));
  }
}

function part() {
  return random.pick([1, "a", 5n, true, new Uint8Array(buffer()), "b", NaN, {}, undefined]);
}

const key = () => trap(keep(["k", ...random.some(2, part)]));

/** What a number, or a string, may be made of. */
const convertible = (real) =>
  random.chance(60) ? real : {
    [Symbol.toPrimitive]() {
      mischief();
      return real;
    },
  };

const options = (names) => {
  const made = {};
  for (const [name, real] of Object.entries(names)) if (random.chance(50)) made[name] = convertible(real);
  return random.chance(50) ? trap(keep(made)) : made;
};

let pair = 0;
const on = () => random.chance(80) ? kv : doomed;
const CALLS = {
  get: () => on().get(key(), options({ consistency: "strong" })),
  getMany: () => on().getMany(trap(keep(random.some(4, key)))),
  set: () => on().set(key(), value(), options({ expireIn: 100_000 })),
  delete: () => on().delete(key()),
  list() {
    const selector = trap(keep({ prefix: random.chance(70) ? [] : key() }));
    const list = on().list(selector, options({ limit: 3, batchSize: 2, reverse: true, cursor: "" }));
    quietly(() => list.next());
    return list.next();
  },
  atomic() {
    const operation = on().atomic();
    const id = pair++;
    operation.set(["pair", id, 0], 1);
    for (let i = random.below(4); i > 0; i--) {
      random.pick([
        () => operation.set(key(), value(), options({ expireIn: 100_000 })),
        () => operation.check(trap(keep({ key: key(), versionstamp: null }))),
        () => operation.mutate(trap(keep({ type: "set", key: key(), value: value() }))),
        () => operation.sum(["sum"], convertible(1n)),
        () => operation.delete(key()),
        () => operation.enqueue(value(), options({ delay: 100_000 })),
      ])();
    }
    operation.set(["pair", id, 1], 1);
    return operation.commit();
  },
  enqueue: () =>
    on().enqueue(value(), options({ delay: 100_000, backoffSchedule: [1], keysIfUndelivered: [key()] })),
  watch() {
    const reader = on().watch(trap(keep(random.some(3, key))), options({ raw: true })).getReader();
    quietly(() => reader.read());
    return reader.cancel();
  },
};
// What was stored by earlier cases is read by later ones, with other patches.
const kinds = Object.keys(CALLS);

/** Makes a call under patches; returns a promise that is resolved once the call has settled. */
function call(kind) {
  const { undo, undoIndexes } = patchSome();
  isActive = true;
  left = 100;
  isThrowing = random.chance(30);
  let settled;
  try {
    const promise = CALLS[kind]();
    if (promise instanceof Promise) settled = apply(then, promise, [ignore, ignore]);
  } catch {
    // Some throw at once.
  }
  undoIndexes();
  isActive = true;
  return { settled, undo };
}

function fail(text) {
  console.log(text);
  Deno.exit(1);
}

for (let i = 0; i < cases; i++) {
  spoilable = [];
  doomed = await Deno.openKv("hostile.sqlite3");
  const kind = random.pick(kinds);
  const { settled, undo } = call(kind);
  // What is read is handed over while the patches are there.
  const turn = new Promise((resolve) => setTimer(resolve, random.below(3)));
  try {
    await turn;
  } catch {
    // A patch has thrown.
  }
  undo();
  if (settled !== undefined) {
    let timer;
    const late = new Promise((resolve) => timer = setTimer(() => resolve("late"), PATIENCE_MS));
    if (await Promise.race([settled, late]) === "late") fail(`case ${i}, ${kind}: it does not settle`);
    clearTimeout(timer);
  }
  doomed[Symbol.dispose]?.();
  const { value } = await kv.get(["sentinel"]);
  if (Deno.inspect(value) !== expected) fail(`case ${i}, ${kind}: the sentinel is ${Deno.inspect(value)}`);
  if (i % 50 === 0) {
    const halves = new Map();
    for await (const { key } of kv.list({ prefix: ["pair"] })) halves.set(key[1], (halves.get(key[1]) ?? 0) + 1);
    for (const [id, count] of halves) if (count !== 2) fail(`case ${i}: pair ${id} is there in part`);
  }
}
for await (const { key } of kv.list({ prefix: [] })) if (key.length === 0) fail("an empty key");
kv.close();
console.log("end");
