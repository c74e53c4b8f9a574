// Deno.KvU64: a 64-bit unsigned integer, the kind of value that sum, min and max work on.

import { primordials } from "ext:core/mod.js";

const {
  BigIntPrototypeToString,
  Object,
  ObjectFreeze,
  RangeError,
  StringPrototypeReplace,
  SymbolFor,
  SymbolToStringTag,
  TypeError,
} = primordials;

const MAX_U64 = 0xffff_ffff_ffff_ffffn;

/** The bigint in a KvU64; undefined for every other value, however much it looks like one. */
let u64Value;

class KvU64 {
  #value;

  constructor(value) {
    if (typeof value !== "bigint") {
      throw new TypeError(`Value must be a bigint: received ${typeof value}`);
    }
    if (value < 0n) {
      throw new RangeError(`Value must be a positive bigint: received ${value}`);
    }
    if (value > MAX_U64) {
      throw new RangeError("Value must fit in a 64-bit unsigned integer");
    }
    this.#value = value;
    this.value = value;
    ObjectFreeze(this);
  }

  static {
    u64Value = (value) =>
      typeof value === "object" && value !== null && #value in value
        ? value.#value
        : undefined;
  }

  valueOf() {
    return this.value;
  }

  toString() {
    return BigIntPrototypeToString(this.value);
  }

  get [SymbolToStringTag]() {
    return "Deno.KvU64";
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    return StringPrototypeReplace(
      inspect(Object(this.value), inspectOptions),
      "BigInt",
      "Deno.KvU64",
    );
  }
}

export { KvU64, u64Value };
