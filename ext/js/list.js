// Deno.KvListIterator: reads a range in batches, each of them one snapshot.

import { primordials } from "ext:core/mod.js";
import { op_kv_cursor, op_kv_list } from "ext:core/ops";
import { codec } from "ext:kv_ext/codec.js";
import { entryAt } from "ext:kv_ext/entry.js";
import { isEventual } from "ext:kv_ext/handle.js";
import { ENTRY_FIELDS } from "ext:kv_ext/protocol.js";
import { settleRead } from "ext:kv_ext/settle.js";
import { isTurnDue, turn } from "ext:kv_ext/turn.js";

const {
  ArrayIsArray,
  ArrayPrototypeSlice,
  AsyncGeneratorPrototype,
  Error,
  NumberIsInteger,
  ObjectGetPrototypeOf,
  ObjectHasOwn,
  ObjectSetPrototypeOf,
  SymbolAsyncIterator,
  TypeError,
} = primordials;

const DEFAULT_BATCH_SIZE = 100;
/** The largest batch that nobody asked for. */
const MAX_DEFAULT_BATCH_SIZE = 500;

const constructorKey = Symbol("KvListIteratorConstructor");

function listIterator(handle, selector, options) {
  const { limit, cursor, consistency, reverse } = options;
  if (limit !== undefined && (!NumberIsInteger(limit) || limit <= 0)) {
    throw new Error(`Limit must be a positive integer: received ${limit}`);
  }
  let batchSize = options.batchSize ?? limit ?? DEFAULT_BATCH_SIZE;
  if (!NumberIsInteger(batchSize) || batchSize <= 0) {
    throw new Error(
      `batchSize must be a positive integer: received ${batchSize}`,
    );
  }
  if (options.batchSize === undefined && batchSize > MAX_DEFAULT_BATCH_SIZE) {
    batchSize = MAX_DEFAULT_BATCH_SIZE;
  }
  return new KvListIterator(constructorKey, {
    handle,
    selector,
    limit,
    batchSize,
    cursor,
    consistency,
    reverse: reverse === true,
  });
}

/** A copy of a selector's key, so that the list does not change with the caller's array. */
function copyKey(selector, name) {
  return ObjectHasOwn(selector, name) && selector[name] !== undefined
    ? ArrayPrototypeSlice(selector[name])
    : undefined;
}

class KvListIterator {
  #handle;
  #prefix;
  #start;
  #end;
  #limit;
  #batchSize;
  #reverse;
  #consistency;
  /** The batch that was read last, flat, and where its next entry begins. */
  #batch = [];
  #position = 0;
  /** How many entries were handed out in all. */
  #count = 0;
  /** Nothing comes after the batch. */
  #lastBatch = false;
  /** The batch that is being read, for all who wait for it. */
  #reading = null;
  /** The key that the cursor names; null where #cursor itself is valid. */
  #boundary = null;
  #cursor;

  constructor(key = undefined, options = undefined) {
    if (key !== constructorKey) {
      throw new TypeError(
        "Deno.KvListIterator can not be constructed: use Deno.Kv.prototype.list instead",
      );
    }
    const { selector } = options;
    const prefix = copyKey(selector, "prefix");
    const start = copyKey(selector, "start");
    const end = copyKey(selector, "end");
    if (prefix !== undefined && start !== undefined && end !== undefined) {
      throw new TypeError(
        "Selector can not specify both 'start' and 'end' key when specifying 'prefix'",
      );
    }
    if (prefix === undefined && (start === undefined || end === undefined)) {
      throw new TypeError(
        "Selector must specify either 'prefix' or both 'start' and 'end' key",
      );
    }
    this.#handle = options.handle;
    this.#prefix = prefix;
    this.#start = start;
    this.#end = end;
    this.#limit = options.limit;
    this.#batchSize = options.batchSize;
    this.#reverse = options.reverse;
    this.#consistency = options.consistency;
    // As in Deno, an empty cursor is none: it is what the cursor is after the last entry.
    this.#cursor = options.cursor || undefined;
  }

  get cursor() {
    if (this.#boundary !== null) {
      this.#cursor = op_kv_cursor(
        this.#prefix,
        this.#start,
        this.#end,
        this.#boundary,
      );
      this.#boundary = null;
    }
    if (this.#cursor === undefined) {
      throw new Error("Cannot get cursor before first iteration");
    }
    return this.#cursor;
  }

  async next() {
    while (this.#limit === undefined || this.#count < this.#limit) {
      if (this.#position < this.#batch.length) {
        const at = this.#position;
        const key = this.#batch[at];
        this.#position += ENTRY_FIELDS;
        this.#count++;
        // A copy: the entry is the caller's to change. (The bytes of a key that can't be read are not.)
        this.#boundary = ArrayIsArray(key) ? ArrayPrototypeSlice(key) : key;
        // Where the entry can't be read this throws, and the next call goes on behind it.
        const value = entryAt(this.#batch, at);
        // Let go of it here: the caller may keep the iterator longer than the entry.
        this.#batch[at + 1] = undefined;
        return { done: false, value };
      }
      if (this.#lastBatch) {
        this.#boundary = null;
        this.#cursor = "";
        break;
      }
      // Whoever calls next() while a batch is being read waits for the same batch.
      this.#reading ??= this.#readBatch();
      if (this.#reading !== null) await this.#reading;
    }
    return { done: true, value: undefined };
  }

  /** Reads the next batch: at once, and returns null, or returns a promise to wait for. */
  #readBatch() {
    const eventual = isEventual(this.#consistency);
    const cursor = this.#boundary === null ? this.#cursor : this.cursor;
    if (cursor !== undefined && typeof cursor !== "string") {
      throw new TypeError(`cursor must be a string: received ${typeof cursor}`);
    }
    const batch = op_kv_list(
      this.#handle,
      this.#prefix,
      this.#start,
      this.#end,
      this.#batchSize,
      this.#reverse,
      cursor,
      eventual,
      codec,
    );
    if (typeof batch === "number") return this.#waitForBatch(batch);
    this.#setBatch(batch);
    return isTurnDue(batch.length / ENTRY_FIELDS) ? this.#takeTurn() : null;
  }

  async #takeTurn() {
    await turn();
    this.#reading = null;
  }

  async #waitForBatch(ticket) {
    try {
      this.#setBatch((await settleRead(this.#handle, ticket))[0]);
    } finally {
      this.#reading = null;
    }
  }

  #setBatch(batch) {
    this.#batch = batch;
    this.#position = 0;
    this.#lastBatch = batch.length < this.#batchSize * ENTRY_FIELDS;
  }

  [SymbolAsyncIterator]() {
    return this;
  }
}

// Under %AsyncIteratorPrototype%, which has no global name, so that the async iterator helpers
// work as soon as the engine has them.
ObjectSetPrototypeOf(
  KvListIterator.prototype,
  ObjectGetPrototypeOf(AsyncGeneratorPrototype),
);

export { KvListIterator, listIterator };
