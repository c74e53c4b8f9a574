// What class an object is of, by what only an object of the class can do. Tags, constructors and prototypes are no
// proof: a script may give them to any object.

import { primordials } from "ext:core/mod.js";
import {
  CLASS_ARRAY_BUFFER,
  CLASS_BOXED,
  CLASS_DATA_VIEW,
  CLASS_DATE,
  CLASS_MAP,
  CLASS_OBJECT,
  CLASS_OPAQUE,
  CLASS_REGEXP,
  CLASS_SET,
} from "ext:kv_ext/protocol.js";

const {
  ArrayBufferPrototype,
  ArrayBufferPrototypeGetByteLength,
  BigIntPrototype,
  BigIntPrototypeValueOf,
  BooleanPrototype,
  BooleanPrototypeValueOf,
  DataViewPrototype,
  DataViewPrototypeGetBuffer,
  DatePrototype,
  DatePrototypeGetTime,
  Error,
  MapPrototype,
  MapPrototypeGetSize,
  NumberPrototype,
  NumberPrototypeValueOf,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectIsExtensible,
  ObjectPrototype,
  ObjectPrototypeIsPrototypeOf,
  ObjectPrototypeToString,
  RegExpPrototype,
  RegExpPrototypeGetGlobal,
  SetPrototype,
  SetPrototypeGetSize,
  StringPrototype,
  StringPrototypeValueOf,
  SymbolPrototype,
  SymbolPrototypeValueOf,
  SymbolToStringTag,
  WeakMapPrototype,
  WeakMapPrototypeHas,
  WeakSetPrototype,
  WeakSetPrototypeHas,
  uncurryThis,
} = primordials;

// Not among the primordials, and not there while V8's snapshot is made. (On V8 this module is not asked.)
const SharedArrayBufferPrototype = globalThis.SharedArrayBuffer?.prototype;
const sharedByteLength = SharedArrayBufferPrototype && uncurryThis(
  ObjectGetOwnPropertyDescriptor(SharedArrayBufferPrototype, "byteLength").get,
);

/** Flat: prototype, class, and a function that throws unless its argument is of the class. */
const CLASSES = [
  MapPrototype, CLASS_MAP, MapPrototypeGetSize,
  SetPrototype, CLASS_SET, SetPrototypeGetSize,
  DatePrototype, CLASS_DATE, DatePrototypeGetTime,
  RegExpPrototype, CLASS_REGEXP, (object) => {
    // Of RegExp.prototype, which is no regular expression, it is undefined.
    if (RegExpPrototypeGetGlobal(object) === undefined) throw new Error();
  },
  BooleanPrototype, CLASS_BOXED, BooleanPrototypeValueOf,
  NumberPrototype, CLASS_BOXED, NumberPrototypeValueOf,
  StringPrototype, CLASS_BOXED, StringPrototypeValueOf,
  BigIntPrototype, CLASS_BOXED, BigIntPrototypeValueOf,
  ArrayBufferPrototype, CLASS_ARRAY_BUFFER, ArrayBufferPrototypeGetByteLength,
  DataViewPrototype, CLASS_DATA_VIEW, DataViewPrototypeGetBuffer,
  SharedArrayBufferPrototype ?? {}, CLASS_OPAQUE, sharedByteLength,
  SymbolPrototype, CLASS_OPAQUE, SymbolPrototypeValueOf,
  WeakMapPrototype, CLASS_OPAQUE, (object) => WeakMapPrototypeHas(object, object),
  WeakSetPrototype, CLASS_OPAQUE, (object) => WeakSetPrototypeHas(object, object),
];

/** Whether an object is a module's namespace, or is made to look like one in every respect. */
function isNamespace(object) {
  const tag = ObjectGetOwnPropertyDescriptor(object, SymbolToStringTag);
  return tag !== undefined && tag.value === "Module" && !tag.writable && !tag.configurable &&
    !ObjectIsExtensible(object);
}

function classOf(object) {
  const prototype = ObjectGetPrototypeOf(object);
  if (prototype === ObjectPrototype) {
    // The `arguments` of a function have no class of their own.
    return !(SymbolToStringTag in object) &&
        ObjectPrototypeToString(object) === "[object Arguments]"
      ? CLASS_OPAQUE
      : CLASS_OBJECT;
  }
  if (prototype === null && isNamespace(object)) return CLASS_OPAQUE;
  for (let i = 0; i < CLASSES.length; i += 3) {
    // Of an object without a prototype, which may be of any class, nothing is known.
    if (prototype !== null && !ObjectPrototypeIsPrototypeOf(CLASSES[i], object)) continue;
    try {
      CLASSES[i + 2](object);
      return CLASSES[i + 1];
    } catch {
      // Its prototype is all it has of the class.
    }
  }
  return CLASS_OBJECT;
}

export { classOf };
