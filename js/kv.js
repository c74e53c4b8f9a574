// Deno.openKv and Deno.Kv.

import { core, primordials } from "ext:core/mod.js";
import {
  op_kv_close,
  op_kv_commit,
  op_kv_get,
  op_kv_get_many,
  op_kv_open,
  op_kv_set,
  op_kv_take_read,
  op_kv_wait_read,
} from "ext:core/ops";
import { atomicOperation, DELETE, validateExpireIn } from "ext:kv_ext/atomic.js";
import {
  checkConsistency,
  commitVersionstampSymbol,
  committed,
} from "ext:kv_ext/handle.js";
import { listIterator } from "ext:kv_ext/list.js";
import { codec } from "ext:kv_ext/codec.js";
import { u64Value } from "ext:kv_ext/u64.js";
import { KIND_U64, kindOf } from "ext:kv_ext/value.js";

const { BadResource } = core;
const { ArrayPrototypeMap, SymbolDispose, TypeError } = primordials;

const constructorKey = Symbol("KvConstructor");

async function openKv(path) {
  if (path === null) path = undefined;
  if (path !== undefined && typeof path !== "string") {
    throw new TypeError(`Filename must be a string: received ${typeof path}`);
  }
  return new Kv(constructorKey, await op_kv_open(path));
}

class Kv {
  #handle;

  constructor(key = undefined, handle = undefined) {
    if (key !== constructorKey) {
      throw new TypeError(
        "Deno.Kv can not be constructed: use Deno.openKv instead",
      );
    }
    this.#handle = handle;
  }

  atomic() {
    return atomicOperation(this.#handle);
  }

  commitVersionstamp() {
    return commitVersionstampSymbol;
  }

  async get(key, options) {
    checkConsistency(options?.consistency);
    const entry = op_kv_get(this.#handle, key, codec);
    return typeof entry === "number"
      ? (await this.#read(entry))[0][0] ??
        { key, value: null, versionstamp: null }
      : entry;
  }

  async getMany(keys, options) {
    checkConsistency(options?.consistency);
    const entries = op_kv_get_many(this.#handle, keys, codec);
    return typeof entries === "number"
      ? ArrayPrototypeMap(
        await this.#read(entries),
        (found, i) =>
          found[0] ?? { key: keys[i], value: null, versionstamp: null },
      )
      : entries;
  }

  /** What a read that did not answer at once has found: an array of entries for each range. */
  async #read(ticket) {
    await op_kv_wait_read(this.#handle, ticket);
    return op_kv_take_read(this.#handle, ticket, codec);
  }

  async set(key, value, options) {
    const expireIn = options?.expireIn;
    validateExpireIn(expireIn);
    const kind = kindOf(value);
    const result = op_kv_set(
      this.#handle,
      key,
      kind,
      kind === KIND_U64 ? u64Value(value) : value,
      expireIn,
      commitVersionstampSymbol,
      codec,
    );
    return { ok: true, versionstamp: await committed(this.#handle, result) };
  }

  async delete(key) {
    const mutation = [key, DELETE, undefined, undefined, undefined];
    const result = op_kv_commit(
      this.#handle,
      [],
      mutation,
      commitVersionstampSymbol,
    );
    await committed(this.#handle, result);
  }

  list(selector, options = { __proto__: null }) {
    return listIterator(this.#handle, selector, options);
  }

  close() {
    if (!op_kv_close(this.#handle)) throw new BadResource("Bad resource ID");
  }

  [SymbolDispose]() {
    op_kv_close(this.#handle);
  }
}

export { Kv, openKv };
