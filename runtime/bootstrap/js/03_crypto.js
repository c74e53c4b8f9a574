// The part of Web Crypto that needs no algorithm: random values and UUIDs.

import { core, primordials } from "ext:core/mod.js";
import { op_kv_random_fill, op_kv_random_uuid } from "ext:core/ops";

const {
  ArrayBufferIsView,
  SymbolToStringTag,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
  Uint8Array,
} = primordials;
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");

const illegalConstructorKey = Symbol("illegalConstructorKey");
const MAX_RANDOM_BYTES = 65536;

const integerArrays = {
  __proto__: null,
  Int8Array: true,
  Uint8Array: true,
  Uint8ClampedArray: true,
  Int16Array: true,
  Uint16Array: true,
  Int32Array: true,
  Uint32Array: true,
  BigInt64Array: true,
  BigUint64Array: true,
};

class Crypto {
  constructor(key = undefined) {
    if (key !== illegalConstructorKey) throw new TypeError("Illegal constructor");
  }

  getRandomValues(array) {
    if (!ArrayBufferIsView(array)) {
      throw new TypeError(
        "Failed to execute 'getRandomValues' on 'Crypto': Argument 1 is not an ArrayBufferView",
      );
    }
    if (!integerArrays[TypedArrayPrototypeGetSymbolToStringTag(array)]) {
      throw new DOMException(
        "The provided ArrayBufferView is not an integer array type",
        "TypeMismatchError",
      );
    }
    const length = TypedArrayPrototypeGetByteLength(array);
    if (length > MAX_RANDOM_BYTES) {
      throw new DOMException(
        `The ArrayBufferView's byte length (${length}) exceeds the number of bytes of entropy available via this API (65536)`,
        "QuotaExceededError",
      );
    }
    op_kv_random_fill(
      new Uint8Array(
        TypedArrayPrototypeGetBuffer(array),
        TypedArrayPrototypeGetByteOffset(array),
        length,
      ),
    );
    return array;
  }

  randomUUID() {
    return op_kv_random_uuid();
  }

  get [SymbolToStringTag]() {
    return "Crypto";
  }
}

const crypto = new Crypto(illegalConstructorKey);

export { Crypto, crypto };
