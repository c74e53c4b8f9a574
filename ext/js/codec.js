// What the ops borrow to make values from stored ones and back: classes and functions from the
// primordials, which no script can have patched. The engine has most of a structured clone built
// in; what its interface has no call for is here.

import { core, primordials } from "ext:core/mod.js";
import { classOf } from "ext:kv_ext/classes.js";
import { describe, isOpaque } from "ext:kv_ext/opaque.js";
import { KvU64 } from "ext:kv_ext/u64.js";

const {
  ArrayBuffer,
  ArrayBufferPrototypeGetByteLength,
  ArrayBufferPrototypeGetMaxByteLength,
  ArrayBufferPrototypeGetResizable,
  BigInt64Array,
  BigIntPrototypeValueOf,
  BigUint64Array,
  BooleanPrototypeValueOf,
  DataView,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  Date,
  DatePrototypeGetTime,
  Error,
  EvalError,
  Float32Array,
  Float64Array,
  Int16Array,
  Int32Array,
  Int8Array,
  Map,
  MapPrototypeSet,
  NumberPrototypeValueOf,
  Object,
  ObjectGetOwnPropertyDescriptor,
  RangeError,
  ReferenceError,
  RegExp,
  RegExpPrototypeGetDotAll,
  RegExpPrototypeGetGlobal,
  RegExpPrototypeGetHasIndices,
  RegExpPrototypeGetIgnoreCase,
  RegExpPrototypeGetMultiline,
  RegExpPrototypeGetSource,
  RegExpPrototypeGetSticky,
  RegExpPrototypeGetUnicode,
  RegExpPrototypeGetUnicodeSets,
  SafeMapIterator,
  SafeSetIterator,
  Set,
  SetPrototypeAdd,
  StringFromCharCode,
  StringPrototypeCharCodeAt,
  StringPrototypeValueOf,
  SyntaxError,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
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

const unboxers = [
  BooleanPrototypeValueOf,
  NumberPrototypeValueOf,
  StringPrototypeValueOf,
  BigIntPrototypeValueOf,
];

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

  classOf,

  dateValue: (date) => DatePrototypeGetTime(date),
  makeDate: (value) => new Date(value),

  // Copies: a getter inside may change the Map or the Set.
  mapEntries: (map) => [...new SafeMapIterator(map)],
  makeMap: () => new Map(),
  mapSet: (map, key, value) => MapPrototypeSet(map, key, value),
  setValues: (set) => [...new SafeSetIterator(set)],
  makeSet: () => new Set(),
  setAdd: (set, value) => SetPrototypeAdd(set, value),

  regExpSource: (regExp) => RegExpPrototypeGetSource(regExp),
  /** Not by the getter `flags`, which asks those of the flags, by their names. */
  regExpFlags: (regExp) =>
    (RegExpPrototypeGetHasIndices(regExp) ? "d" : "") +
    (RegExpPrototypeGetGlobal(regExp) ? "g" : "") +
    (RegExpPrototypeGetIgnoreCase(regExp) ? "i" : "") +
    (RegExpPrototypeGetMultiline(regExp) ? "m" : "") +
    (RegExpPrototypeGetDotAll(regExp) ? "s" : "") +
    (RegExpPrototypeGetUnicode(regExp) ? "u" : "") +
    (RegExpPrototypeGetUnicodeSets(regExp) ? "v" : "") +
    (RegExpPrototypeGetSticky(regExp) ? "y" : ""),
  makeRegExp: (source, flags) => new RegExp(source, flags),

  /** What the value is as a string; throws what that throws. */
  toText: (value) => `${value}`,

  unbox(value) {
    for (let i = 0; i < unboxers.length; i++) {
      try {
        return unboxers[i](value);
      } catch {
        // It is around a primitive of another type.
      }
    }
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

  /** Undefined: the buffer is detached. */
  bytesOf(buffer) {
    try {
      return new Uint8Array(buffer);
    } catch {
      return undefined;
    }
  },
  /** Undefined: it is no buffer. */
  bufferLength(buffer) {
    try {
      return ArrayBufferPrototypeGetByteLength(buffer);
    } catch {
      return undefined;
    }
  },
  /** The buffer, the offset and the length of a view. */
  viewParts: (view) =>
    TypedArrayPrototypeGetSymbolToStringTag(view) === undefined
      ? [
        DataViewPrototypeGetBuffer(view),
        DataViewPrototypeGetByteOffset(view),
        DataViewPrototypeGetByteLength(view),
      ]
      : [
        TypedArrayPrototypeGetBuffer(view),
        TypedArrayPrototypeGetByteOffset(view),
        TypedArrayPrototypeGetByteLength(view),
      ],

  makeView(kind, buffer, offset, length) {
    const View = viewClasses[kind];
    return new View(buffer, offset, length);
  },

  maxByteLength: (buffer) =>
    ArrayBufferPrototypeGetResizable(buffer)
      ? ArrayBufferPrototypeGetMaxByteLength(buffer)
      : undefined,
  makeResizableBuffer(bytes, maxByteLength) {
    const buffer = new ArrayBuffer(bytes.length, { maxByteLength });
    TypedArrayPrototypeSet(new Uint8Array(buffer), bytes);
    return buffer;
  },
};

export { codec };
