// Deno.openKv and Deno.Kv.

import { core, primordials } from "ext:core/mod.js";
import {
  op_kv_close,
  op_kv_commit,
  op_kv_get,
  op_kv_get_many,
  op_kv_open,
  op_kv_set,
  op_kv_opened,
} from "ext:core/ops";
import { atomicOperation, validateExpireIn } from "ext:kv_ext/atomic.js";
import { codec } from "ext:kv_ext/codec.js";
import { entryAt } from "ext:kv_ext/entry.js";
import { commitVersionstampSymbol, isEventual } from "ext:kv_ext/handle.js";
import { listIterator } from "ext:kv_ext/list.js";
import { DELETE, ENTRY_FIELDS, KIND_U64 } from "ext:kv_ext/protocol.js";
import { listen } from "ext:kv_ext/queue.js";
import { settleCommit, settleRead } from "ext:kv_ext/settle.js";
import { isTurnDue, turn } from "ext:kv_ext/turn.js";
import { u64Value } from "ext:kv_ext/u64.js";
import { kindOf } from "ext:kv_ext/value.js";
import { watchKeys } from "ext:kv_ext/watch.js";

const { BadResource } = core;
const { ArrayPrototypeMap, ArrayPrototypePush, SymbolDispose, TypeError } = primordials;

const constructorKey = Symbol("KvConstructor");

async function openKv(path) {
  if (path === null) path = undefined;
  if (path !== undefined && typeof path !== "string") {
    throw new TypeError(`Filename must be a string: received ${typeof path}`);
  }
  return new Kv(constructorKey, op_kv_opened(await op_kv_open(path)));
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
    const eventual = isEventual(options?.consistency);
    let fields = op_kv_get(this.#handle, key, eventual, codec);
    if (typeof fields === "number") {
      fields = (await settleRead(this.#handle, fields))[0];
      if (fields.length === 0) return { key, value: null, versionstamp: null };
    } else if (isTurnDue(1)) {
      await turn();
    }
    return entryAt(fields, 0);
  }

  async getMany(keys, options) {
    const eventual = isEventual(options?.consistency);
    const fields = op_kv_get_many(this.#handle, keys, eventual, codec);
    if (typeof fields === "number") {
      return ArrayPrototypeMap(
        await settleRead(this.#handle, fields),
        (found, i) =>
          found.length === 0
            ? { key: keys[i], value: null, versionstamp: null }
            : entryAt(found, 0),
      );
    }
    const entries = [];
    for (let i = 0; i < fields.length; i += ENTRY_FIELDS) {
      ArrayPrototypePush(entries, entryAt(fields, i));
    }
    if (isTurnDue(entries.length)) await turn();
    return entries;
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
    return { ok: true, versionstamp: await settleCommit(this.#handle, result) };
  }

  async delete(key) {
    const mutation = [key, DELETE, undefined, undefined, undefined];
    const result = op_kv_commit(
      this.#handle,
      [],
      mutation,
      [],
      commitVersionstampSymbol,
    );
    await settleCommit(this.#handle, result);
  }

  async enqueue(message, options) {
    return await this.atomic().enqueue(message, options).commit();
  }

  async listenQueue(handler) {
    await listen(this.#handle, handler);
  }

  watch(keys, options = { __proto__: null }) {
    return watchKeys(this.#handle, keys, options);
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
