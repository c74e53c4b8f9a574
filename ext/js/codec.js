// What the ops borrow to make values from stored ones and back: classes and functions from the
// primordials, which no script can have patched. The engine has most of a structured clone built
// in; what its interface has no call for is here.

import { core, primordials } from "ext:core/mod.js";
import { describe, isOpaque } from "ext:kv_ext/opaque.js";
import { KvU64 } from "ext:kv_ext/u64.js";

const {
  ArrayBuffer,
  BigInt64Array,
  BigIntPrototypeValueOf,
  BigUint64Array,
  BooleanPrototypeValueOf,
  DataView,
  Error,
  EvalError,
  Float32Array,
  Float64Array,
  Int16Array,
  Int32Array,
  Int8Array,
  NumberPrototypeValueOf,
  Object,
  ObjectGetOwnPropertyDescriptor,
  RangeError,
  ReferenceError,
  RegExp,
  RegExpPrototypeGetFlags,
  StringFromCharCode,
  StringPrototypeCharCodeAt,
  StringPrototypeValueOf,
  SyntaxError,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeSet,
  URIError,
  Uint16Array,
  Uint32Array,
  Uint8Array,
  Uint8ClampedArray,
} = primordials;

const errorClasses = {
  __proto__: null,
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** By the letters that stand for them in a clone. */
const viewClasses = {
  __proto__: null,
  B: Uint8Array,
  b: Int8Array,
  C: Uint8ClampedArray,
  w: Int16Array,
  W: Uint16Array,
  d: Int32Array,
  D: Uint32Array,
  h: globalThis.Float16Array,
  f: Float32Array,
  F: Float64Array,
  q: BigInt64Array,
  Q: BigUint64Array,
  "?": DataView,
};

const codec = {
  __proto__: null,

  /** Makers of host objects such as Blob, by type. It fills as extensions register theirs. */
  hostObjects: core.getCloneableDeserializers(),

  KvU64,

  describe,
  isOpaque,

  /** For an engine whose interface replaces lone surrogates. */
  codeUnits(string) {
    const units = new Uint16Array(string.length);
    for (let i = 0; i < units.length; i++) units[i] = StringPrototypeCharCodeAt(string, i);
    return units;
  },
  fromCodeUnits(bytes) {
    const units = new Uint16Array(TypedArrayPrototypeGetBuffer(bytes));
    let string = "";
    for (let i = 0; i < units.length; i++) string += StringFromCharCode(units[i]);
    return string;
  },

  regExpFlags: (regExp) => RegExpPrototypeGetFlags(regExp),
  makeRegExp: (source, flags) => new RegExp(source, flags),

  unbox(value) {
    if (core.isBooleanObject(value)) return BooleanPrototypeValueOf(value);
    if (core.isNumberObject(value)) return NumberPrototypeValueOf(value);
    if (core.isStringObject(value)) return StringPrototypeValueOf(value);
    return BigIntPrototypeValueOf(value);
  },
  box: (value) => Object(value),

  /** An error of a class, without message and with an empty stack. */
  makeError(name) {
    // A script may have put an accessor there, which must not run now.
    const limit = ObjectGetOwnPropertyDescriptor(Error, "stackTraceLimit");
    if (limit === undefined || !limit.writable) return new errorClasses[name]();
    Error.stackTraceLimit = 0;
    try {
      return new errorClasses[name]();
    } finally {
      Error.stackTraceLimit = limit.value;
    }
  },

  makeView(kind, buffer, offset, length) {
    const View = viewClasses[kind];
    return new View(buffer, offset, length);
  },

  maxByteLength: (buffer) => buffer.resizable ? buffer.maxByteLength : undefined,
  makeResizableBuffer(bytes, maxByteLength) {
    const buffer = new ArrayBuffer(bytes.length, { maxByteLength });
    TypedArrayPrototypeSet(new Uint8Array(buffer), bytes);
    return buffer;
  },
};

export { codec };
