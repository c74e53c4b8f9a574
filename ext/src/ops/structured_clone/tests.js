// Run by tests.rs: returns the values, and leaves `same` for it.

globalThis.same = function same(a, b, path = "value", seen = new Map()) {
  if (Object.is(a, b)) return "";
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return `${path}: ${String(a)} ${String(b)}`;
  }
  if (seen.has(a)) return seen.get(a) === b ? "" : `${path}: another object`;
  seen.set(a, b);
  const kind = (value) => Object.prototype.toString.call(value);
  if (kind(a) !== kind(b)) return `${path}: ${kind(a)} ${kind(b)}`;
  // An object without a prototype comes back as a plain one.
  const prototype = (value) => Object.getPrototypeOf(value) ?? Object.prototype;
  if (prototype(a) !== prototype(b)) return `${path}: prototype`;
  const parts = [];
  if (a instanceof Date) parts.push([a.getTime(), b.getTime()]);
  if (a instanceof RegExp) parts.push([a.source, b.source], [a.flags, b.flags]);
  if (a instanceof Map || a instanceof Set) parts.push([[...a], [...b]]);
  if (a instanceof Error) {
    parts.push([a.message, b.message], [a.stack, b.stack], [a.cause, b.cause]);
    parts.push([Object.hasOwn(a, "message"), Object.hasOwn(b, "message")]);
    parts.push([Object.hasOwn(a, "cause"), Object.hasOwn(b, "cause")]);
  }
  if (a instanceof ArrayBuffer) {
    parts.push([[...new Uint8Array(a)], [...new Uint8Array(b)]], [a.resizable, b.resizable]);
  }
  if (ArrayBuffer.isView(a)) {
    parts.push([a.byteOffset, b.byteOffset], [a.byteLength, b.byteLength], [a.buffer, b.buffer]);
  }
  if (["[object Number]", "[object String]", "[object Boolean]", "[object BigInt]"].includes(kind(a))) {
    parts.push([a.valueOf(), b.valueOf()]);
  }
  for (const [i, [left, right]] of parts.entries()) {
    const different = same(left, right, `${path}<${i}>`, seen);
    if (different) return different;
  }
  if (ArrayBuffer.isView(a)) return "";
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  if (keys.join("\0") !== others.join("\0")) return `${path}: keys ${keys} | ${others}`;
  if (Array.isArray(a) && a.length !== b.length) return `${path}: length`;
  for (const key of keys) {
    const different = same(a[key], b[key], `${path}.${key}`, seen);
    if (different) return different;
  }
  return "";
};

const shared = { shared: true };
const cyclic = { name: "cyclic", list: [] };
cyclic.self = cyclic;
cyclic.list.push(cyclic, cyclic.list);
cyclic.map = new Map([[cyclic, cyclic]]);
cyclic.set = new Set([cyclic]);
const buffer = new Uint8Array(Array.from({ length: 64 }, (_, i) => i)).buffer;
const sparse = [1, , 3];
sparse.extra = "x";
const long = [];
long[5000] = "far";
const dense = [1, 2];
dense.extra = { a: 1 };
dense["-1"] = "minus";
const errorInError = new Error("outer", { cause: 1 });
errorInError.cause = errorInError;
const noMessage = new TypeError();
const renamed = new Error("renamed");
renamed.name = "RangeError";
const nested = (depth) => depth === 0 ? "bottom" : [nested(depth - 1)];

const values = [
  undefined, null, true, false,
  0, -0, 1, -1, 127, 128, -128, 2 ** 30, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1,
  2 ** 32, 2 ** 53, 1.5, 5e-324, NaN, Infinity, -Infinity,
  0n, 1n, -1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n), 2n ** 1000n,
  "", "a", "latin \xe9\xff", "\u65e5\u672c", "\ud83d\ude00", "\ud800", "\0", "x".repeat(127),
  "x".repeat(128), "\u65e5".repeat(64), "\u65e5".repeat(9000), ["", "\u65e5", "a", "\u65e5"],
  {}, { a: 1 }, { b: 1, a: 2, 10: 3, 9: 4, "-1": 5, "4294967295": 6, "4294967294": 7 },
  { "": { "\u65e5": { " ": null } } }, Object.create(null, { a: { value: 1, enumerable: true } }),
  { get computed() { return 5; } }, { [Symbol("s")]: 1, seen: 2 },
  [], [1, "2", [3]], sparse, long, dense, new Array(3), [undefined], [,], Array(200).fill(7),
  cyclic, [shared, { shared }, shared],
  new Date(0), new Date(-1), new Date(NaN), new Date(8.64e15),
  /a/, /(?<n>.)[\]/]/dgimsuy, /[\p{L}--[a-z]]/v, new RegExp(""), /\u65e5/,
  new Map(), new Map([[1, "a"], ["k", new Map([[NaN, undefined]])], [{ o: 1 }, shared]]),
  new Set(), new Set([1, "1", new Set([2]), shared]),
  Object(true), Object(false), Object(1.5), Object(5n), Object(-(2n ** 70n)), Object("s"),
  Object("\u65e5"),
  new ArrayBuffer(0), buffer, new ArrayBuffer(8, { maxByteLength: 16 }),
  new Uint8Array(buffer, 3, 5), new Uint8ClampedArray([1, 255]), new Int8Array([-1]),
  new Uint16Array(buffer, 2, 3), new Int16Array([-2]), new Uint32Array([2 ** 32 - 1]),
  new Int32Array([-3]), new Float32Array([1.5]), new Float64Array([Math.PI]),
  new BigInt64Array([-4n]), new BigUint64Array([2n ** 64n - 1n]), new DataView(buffer, 5, 7),
  [new Uint8Array(buffer, 0, 4), new DataView(buffer, 1), buffer, new Float64Array(buffer, 8, 2)],
  { view: new Uint8Array(0) },
  new Error("message"), noMessage, new RangeError("r", { cause: { code: [1] } }),
  new EvalError("e"), new SyntaxError("s"), new URIError("u"), new ReferenceError("f"),
  new Error("with \u65e5", { cause: undefined }), errorInError,
  { error: new Error("in"), again: shared, list: [shared] },
  nested(60),
];
values.map((value, i) => [`${i}: ${typeof value === "object" ? Object.prototype.toString.call(value) : String(value).slice(0, 20)}`, value]);
