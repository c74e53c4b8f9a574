// How values cross to the ops and back.

import { primordials } from "ext:core/mod.js";
import { op_kv_deserialize, op_kv_serialize } from "ext:core/ops";
import { codec } from "ext:kv_ext/codec.js";
import { KIND_BYTES, KIND_U64, KIND_V8 } from "ext:kv_ext/protocol.js";
import { KvU64, u64Value } from "ext:kv_ext/u64.js";

const {
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetSymbolToStringTag,
  Uint8Array,
} = primordials;

function kindOf(value) {
  if (TypedArrayPrototypeGetSymbolToStringTag(value) === "Uint8Array") {
    return KIND_BYTES;
  }
  return u64Value(value) === undefined ? KIND_V8 : KIND_U64;
}

/** What to keep of a value until it is committed, so that later changes to it don't count. */
function freezeValue(kind, value) {
  switch (kind) {
    case KIND_BYTES:
      // Not slice(), which asks the array for its constructor. What is detached has no bytes.
      return TypedArrayPrototypeGetByteLength(value) === 0
        ? new Uint8Array()
        : new Uint8Array(value);
    case KIND_U64:
      return u64Value(value);
    default:
      return op_kv_serialize(value, codec);
  }
}

/** The value again that freezeValue was given. */
function thawValue(kind, frozen) {
  switch (kind) {
    case KIND_BYTES:
      return frozen;
    case KIND_U64:
      return new KvU64(frozen);
    default:
      return op_kv_deserialize(frozen, codec);
  }
}

export { freezeValue, kindOf, thawValue };
