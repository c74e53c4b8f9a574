// Which objects a structured clone can't take, and how a message names them, for an engine whose
// own serializer is not asked.

import { core, primordials } from "ext:core/mod.js";

const {
  ArrayIsArray,
  ArrayPrototypeForEach,
  FunctionPrototypeToString,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ObjectPrototype,
  ReflectOwnKeys,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeHas,
  SymbolPrototypeToString,
  SymbolToStringTag,
} = primordials;

const { isRawJSON } = globalThis.JSON;
const objectToString = ObjectPrototype.toString;

/** What V8 finds without a call: an accessor counts as a property that is not there. */
function dataProperty(object, name) {
  while (object !== null && object !== undefined && !core.isProxy(object)) {
    const property = ObjectGetOwnPropertyDescriptor(object, name);
    if (property !== undefined) return property.value;
    object = ObjectGetPrototypeOf(object);
  }
}

/** A value as V8 names it when it can't be cloned. */
function describe(value) {
  if (typeof value === "function") return FunctionPrototypeToString(value);
  if (typeof value === "symbol") return SymbolPrototypeToString(value);
  if (core.isProxy(value)) return ArrayIsArray(value) ? "[object Array]" : "#<Object>";
  if (dataProperty(value, "toString") === objectToString) {
    const constructor = dataProperty(value, "constructor");
    if (typeof constructor === "function") {
      const name = dataProperty(constructor, "name");
      if (typeof name === "string" && name !== "") return `#<${name}>`;
    }
  }
  const tag = dataProperty(value, SymbolToStringTag);
  return `[object ${typeof tag === "string" ? tag : "Object"}]`;
}

/** Prototypes of the engine's objects that keep their state to themselves. */
const opaquePrototypes = new SafeSet();

function addPrototypeOf(object) {
  if (object) SetPrototypeAdd(opaquePrototypes, ObjectGetPrototypeOf(object));
}

function addClass(constructor) {
  // Errors are cloned: they have a tag of their own.
  const prototype = typeof constructor === "function" && constructor.prototype;
  if (prototype && ObjectGetPrototypeOf(prototype) === ObjectPrototype) {
    SetPrototypeAdd(opaquePrototypes, prototype);
  }
}

// Not every engine has them all.
ArrayPrototypeForEach(
  ["WeakRef", "FinalizationRegistry", "DisposableStack", "AsyncDisposableStack"],
  (name) => addClass(globalThis[name]),
);
ArrayPrototypeForEach(["Intl", "Temporal", "WebAssembly"], (name) => {
  const namespace = globalThis[name];
  if (!namespace) return;
  ArrayPrototypeForEach(ReflectOwnKeys(namespace), (key) => addClass(namespace[key]));
});
// Iterators: their classes have no names.
ArrayPrototypeForEach([
  () => [][Symbol.iterator](),
  () => ""[Symbol.iterator](),
  () => "".matchAll(/./g),
  () => [].values().map((x) => x),
  () => new globalThis.Map().keys(),
  () => new globalThis.Set().keys(),
  () => globalThis.Iterator.from({ next() {} }),
  () => new globalThis.Intl.Segmenter("en").segment(""),
  () => new globalThis.Intl.Segmenter("en").segment("")[Symbol.iterator](),
], (make) => {
  try {
    addPrototypeOf(make());
  } catch {
    // This engine has no such thing.
  }
});
addPrototypeOf((async function* () {}).prototype);
addPrototypeOf((function* () {}).prototype);

/** Of the objects whose state a clone can't take, those that the engine's interface does not tell. */
function isOpaque(value) {
  if (isRawJSON?.(value)) return true;
  let prototype = ObjectGetPrototypeOf(value);
  while (prototype !== null && prototype !== ObjectPrototype && !core.isProxy(prototype)) {
    if (SetPrototypeHas(opaquePrototypes, prototype)) return true;
    prototype = ObjectGetPrototypeOf(prototype);
  }
  return false;
}

export { describe, isOpaque };
