// differential.js SEED OPERATIONS: random calls on a file, one after another or several at once that nobody waits
// for, and what each of them answers, a line each. kv and Deno must print the same: what is asked of a handle
// happens in the order it is asked.
//
// What is left out, because Deno is known to be wrong there (tests/js/differences.json says how, and tests
// of our own hold what is right): two mistakes in one call, of which Deno reports what its layers meet
// first; lone surrogates in keys, expiry within the run, a mutation that fails
// after others in its operation, next() called twice at once, changing an entry, keys with getters, and
// objects with the prototype of KvU64.
import { Random } from "./random.js";

const random = new Random(Number(Deno.args[0]));
const operations = Number(Deno.args[1]);
const kv = await Deno.openKv("differential.sqlite3");

/** Whether this call already has its mistake. */
let isWrong = false;

/** Whether to make a mistake, so many times in a hundred. */
function mistake(percent) {
  if (isWrong || !random.chance(percent)) return false;
  isWrong = true;
  return true;
}

/** Versionstamps by the order in which they were seen: the counters of two stores differ. */
const stamps = new Map();
/** Real ones, to use in checks. */
const known = [];

function stamp(versionstamp) {
  if (typeof versionstamp !== "string") return show(versionstamp);
  let name = stamps.get(versionstamp);
  if (name === undefined) {
    name = `#${stamps.size}`;
    stamps.set(versionstamp, name);
    known.push(versionstamp);
    if (known.length > 50) known.shift();
  }
  return name;
}

/** A value as text: the same for the same value. */
function show(value, depth = 0) {
  if (depth > 20) return "…";
  switch (typeof value) {
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "string":
      return value.length > 100
        ? `string of ${value.length} ${hash(value)}`
        : JSON.stringify(value);
    case "object":
      break;
    default:
      return String(value);
  }
  if (value === null) return "null";
  const inner = (value) => show(value, depth + 1);
  if (value instanceof Deno.KvU64) return `KvU64(${value.value})`;
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (value instanceof RegExp) return String(value);
  if (value instanceof Error) {
    return `${value.name}(${value.message}, ${inner(value.cause)})`;
  }
  if (value instanceof Map) return `Map(${[...value].map(inner).join()})`;
  if (value instanceof Set) return `Set(${[...value].map(inner).join()})`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${bytes(new Uint8Array(value))})`;
  if (ArrayBuffer.isView(value)) {
    const all = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return `${value.constructor.name}(${bytes(all)})`;
  }
  if (Array.isArray(value)) {
    const parts = [];
    for (let i = 0; i < value.length; i++) parts.push(i in value ? inner(value[i]) : "");
    return `[${parts.join()}]`;
  }
  return `{${Object.entries(value).map(([key, value]) => `${key}:${inner(value)}`).join()}}`;
}

const bytes = (all) => all.length > 50 ? `${all.length} ${hash(all.join())}` : all.join(" ");

function hash(text) {
  let hash = 7;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}

const SMALL = [
  "", "a", "b", "ab", "\0", "a\0", "é", "żółw", "🐢", 0, -0, 1, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 53,
  0n, 1n, -1n, 255n, 256n, -255n, -256n, 2n ** 64n, -(2n ** 64n), 2n ** 200n, true, false,
];

function part() {
  if (random.chance(85)) return random.pick(SMALL);
  switch (random.below(6)) {
    case 0:
      return new Uint8Array(random.some(6, () => random.pick([0, 1, 127, 254, 255])));
    case 1:
      return random.bits() - 2 ** 31;
    case 2:
      return BigInt(random.bits()) ** BigInt(random.below(6)) * (random.chance(50) ? 1n : -1n);
    case 3:
      return (random.bits() - 2 ** 31) / 7;
    case 4:
      return new Uint8Array(random.some(3, () => random.below(256)));
    default:
      return "k".repeat(random.below(30));
  }
}

/** What is no key, or only just one. */
function oddKey() {
  switch (random.below(12)) {
    case 0:
      return [];
    case 1:
      return ["x".repeat(2045 + random.below(6))];
    case 2:
      return [new Uint8Array(2045 + random.below(6)).fill(1)];
    case 3:
      return [2n ** BigInt(8 * (254 + random.below(3)))];
    case 4:
      return [undefined];
    case 5:
      return [null, "a"];
    case 6:
      return [{}];
    case 7:
      return [Symbol("x")];
    case 8:
      return [["a"]];
    case 9:
      return [new Uint8Array([1, 2, 3, 4]).subarray(1, 3)];
    case 10:
      return Array.from({ length: 50 }, () => "a");
    default:
      return [new Date(0)];
  }
}

function key() {
  if (mistake(4)) return oddKey();
  const prefix = random.pick(["p", "q", 1]);
  return [prefix, ...random.some(2, part)];
}

const number = () => random.pick([0, 1, -1, 7, 2 ** 31, 0.5]);
const bigint = () => random.pick([0n, 1n, -1n, 7n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 70n]);
const u64 = () => new Deno.KvU64(random.pick([0n, 1n, 7n, 2n ** 63n, 2n ** 64n - 1n]));

function value(depth = 0) {
  const kind = random.below(depth > 2 ? 8 : 20);
  const inner = () => value(depth + 1);
  switch (kind) {
    case 0:
      return number();
    case 1:
      return bigint();
    case 2:
      return random.pick(["", "text", "é", "🐢", "\ud800", "x".repeat(random.below(300))]);
    case 3:
      return random.pick([true, false, null, undefined]);
    case 4:
      return new Date(random.pick([0, 1.5, NaN, 8.64e15]));
    case 5:
      return depth === 0 ? u64() : 5n;
    case 6:
      return new Uint8Array(random.some(10, () => random.below(256)));
    case 7:
      return random.pick([/a/g, /é+/iu, new Uint16Array([1, 2]), new ArrayBuffer(3), new Float64Array(1)]);
    case 8:
    case 9:
      return random.some(5, inner);
    case 10:
    case 11: {
      const object = {};
      for (const name of random.some(5, () => random.pick(["a", "b", "é", "0", "7", "__x"]))) {
        object[name] = inner();
      }
      return object;
    }
    case 12:
      return new Map(random.some(3, () => [inner(), inner()]));
    case 13:
      return new Set(random.some(3, inner));
    case 14: {
      const array = random.some(4, inner);
      array.length += random.below(4);
      return array;
    }
    case 15: {
      const shared = { shared: inner() };
      return [shared, { again: shared }];
    }
    case 16: {
      const error = new (random.pick([Error, TypeError, RangeError]))("message");
      error.stack = "stack";
      if (random.chance(30)) error.cause = inner();
      return error;
    }
    case 17:
      return "x".repeat(65_520 + random.below(30));
    case 18:
      return new Uint8Array(65_530 + random.below(12)).fill(random.below(256));
    default:
      return random.pick([() => 1, Symbol("s"), new WeakMap(), Promise.resolve(1)]);
  }
}

const maybe = (percent, make) => random.chance(percent) ? make() : undefined;

function selector() {
  const prefix = () => random.pick([["p"], ["q"], [1], ["p", "a"], [], ["none"]]);
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return { prefix: prefix() };
    case 4:
    case 5: {
      const common = prefix();
      return { prefix: common, start: mistake(20) ? key() : [...common, part()] };
    }
    case 6:
    case 7: {
      const common = prefix();
      return { prefix: common, end: mistake(20) ? key() : [...common, part()] };
    }
    case 8:
    case 9:
    case 10:
      return { start: key(), end: key() };
    default:
      if (!mistake(100)) return { prefix: ["p"] };
      return random.pick([
        {},
        { start: ["a"] },
        { end: ["a"] },
        { prefix: ["p"], start: ["p", "a"], end: ["p", "b"] },
      ]);
  }
}

function setOptions() {
  return maybe(10, () => ({ expireIn: random.pick([3_600_000, 1e9, 0, -1, NaN, 1.5]) }));
}

/** Deno stores a value that expires at once until it removes expired rows: such options must be refused. */
const isShort = (options) => options !== undefined && options.expireIn === 0;

function entryText(entry) {
  return `${show(entry.key)} = ${show(entry.value)} ${stamp(entry.versionstamp)}`;
}

function versionstamp() {
  const pick = random.below(10);
  if (pick < 4) return null;
  if (pick < 8 && known.length > 0) return random.pick(known);
  if (!mistake(60)) return random.pick(["0".repeat(20), "f".repeat(20)]);
  return random.pick(["", "x", "0".repeat(19), 5, undefined, "0".repeat(40)]);
}

/** Adds checks and mutations; a mutation that may fail when it is committed is alone. */
function fill(atomic, text) {
  for (const check of random.some(2, () => ({ key: key(), versionstamp: versionstamp() }))) {
    text.push(`check ${show(check.key)} ${stamps.get(check.versionstamp) ?? show(check.versionstamp)}`);
    atomic.check(check);
  }
  if (random.chance(40)) {
    const target = key();
    switch (random.below(5)) {
      case 0: {
        const operand = random.pick([number, bigint, u64])();
        text.push(`sum ${show(target)} ${show(operand)}`);
        if (typeof operand === "bigint" && random.chance(50)) atomic.sum(target, operand);
        else atomic.mutate({ type: "sum", key: target, value: operand });
        break;
      }
      case 1: {
        const operand = bigint();
        text.push(`min ${show(target)} ${show(operand)}`);
        atomic.min(target, operand);
        break;
      }
      case 2: {
        const operand = bigint();
        text.push(`max ${show(target)} ${show(operand)}`);
        atomic.max(target, operand);
        break;
      }
      case 3: {
        const mutation = {
          type: random.pick(["sum", "min", "max"]),
          key: target,
          value: random.chance(70) ? u64() : value(),
        };
        text.push(`${mutation.type} ${show(target)} ${show(mutation.value)}`);
        atomic.mutate(mutation);
        break;
      }
      default: {
        const mutation = { type: random.pick(["set", "delete", "none", undefined]), key: target };
        if (random.chance(60)) mutation.value = value();
        text.push(`mutate ${show(mutation)}`);
        atomic.mutate(mutation);
      }
    }
    return;
  }
  for (let i = random.below(5); i > 0; i--) {
    const target = key();
    if (random.chance(25)) {
      text.push(`delete ${show(target)}`);
      atomic.delete(target);
    } else {
      const stored = value();
      const options = setOptions();
      if (isShort(options)) continue;
      text.push(`set ${show(target)} ${show(stored)} ${show(options)}`);
      atomic.set(target, stored, options);
    }
  }
}

let cursor;

/** Each returns the call as text, and a function that makes it. That one returns a function that prints the answer:
 * versionstamps get their names in the order of printing. */
const CALLS = {
  get() {
    const asked = key();
    const options = maybe(10, () => ({
      consistency: mistake(30) ? "none" : random.pick(["strong", "eventual"]),
    }));
    return [`get ${show(asked)} ${show(options)}`, async () => {
      const entry = await kv.get(asked, options);
      return () => entryText(entry);
    }];
  },
  getMany() {
    const keys = mistake(5) ? Array.from({ length: 11 }, key) : random.some(10, key);
    return [
      `getMany ${show(keys)}`,
      async () => {
        const entries = await kv.getMany(keys);
        return () => entries.map(entryText).join("; ");
      },
    ];
  },
  set() {
    const target = key();
    const stored = value();
    const options = setOptions();
    if (isShort(options)) return CALLS.get();
    return [
      `set ${show(target)} ${show(stored)} ${show(options)}`,
      async () => {
        const result = await kv.set(target, stored, options);
        return () => `${result.ok} ${stamp(result.versionstamp)}`;
      },
    ];
  },
  delete() {
    const target = key();
    return [`delete ${show(target)}`, async () => {
      const result = await kv.delete(target);
      return () => show(result);
    }];
  },
  list() {
    const selected = selector();
    const options = maybe(60, () => ({
      limit: maybe(50, () => random.pick([0, 1, 3, 10, 500])),
      reverse: maybe(40, () => random.chance(70)),
      batchSize: maybe(40, () => mistake(10) ? 1001 : random.pick([1, 2, 7, 500, 1000])),
      cursor: maybe(30, () => mistake(30) ? random.pick(["AA==", "!", "x"]) : random.pick([cursor, ""])),
      consistency: maybe(10, () => random.pick(["strong", "eventual"])),
    }));
    return [
      `list ${show(selected)} ${show(options)}`,
      async () => {
        const list = kv.list(selected, options);
        const entries = [];
        const most = random.below(40);
        for await (const entry of list) {
          entries.push(entry);
          if (entries.length > most) break;
        }
        return () => {
          if (entries.length > 0) cursor = list.cursor;
          return `${entries.map(entryText).join("; ")} cursor ${entries.length > 0 ? list.cursor : ""}`;
        };
      },
    ];
  },
  atomic() {
    const text = [];
    const state = random;
    return [
      text,
      async () => {
        const atomic = kv.atomic();
        fill(atomic, text, state);
        const result = await atomic.commit();
        return () => `${result.ok} ${stamp(result.versionstamp)}`;
      },
    ];
  },
};

const kinds = ["get", "get", "getMany", "set", "set", "set", "delete", "list", "list", "atomic", "atomic", "atomic"];
const lines = [];
for (let i = 0; i < operations;) {
  const burst = [];
  for (let size = random.chance(40) ? 1 : 2 + random.below(6); size > 0; size--) {
    isWrong = false;
    const [text, run] = CALLS[random.pick(kinds)]();
    burst.push({ text, answer: run().catch((error) => () => `${error?.name}: ${error?.message}`) });
  }
  for (const { text, answer } of burst) {
    const tell = await answer;
    const call = Array.isArray(text) ? `atomic ${text.join(", ")}` : text;
    lines.push(`${i++} ${call} -> ${tell()}`.replaceAll("\n", "\\n"));
  }
  if (lines.length > 1_000) console.log(lines.splice(0).join("\n"));
}
console.log(lines.join("\n"));
kv.close();
