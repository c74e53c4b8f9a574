// Deno.Kv.watch: a stream of what keys hold, each time one of them has changed.

import { primordials } from "ext:core/mod.js";
import {
  op_kv_watch,
  op_kv_watch_close,
  op_kv_watch_next,
  op_kv_watch_take,
} from "ext:core/ops";
import { codec } from "ext:kv_ext/codec.js";
import { entryAt, isUnreadable } from "ext:kv_ext/entry.js";
import { ENTRY_FIELDS } from "ext:kv_ext/protocol.js";

const { ArrayPrototypePush, TypeError } = primordials;

/** Not by slice(), which asks the array for its constructor. */
function copyKey(key) {
  const copy = [];
  for (let i = 0; i < key.length; i++) ArrayPrototypePush(copy, key[i]);
  return copy;
}

/** The entries of a state. Undefined: one of them can't be read. */
function entriesOf(fields, keys) {
  const entries = [];
  for (let i = 0; i < fields.length; i += ENTRY_FIELDS) {
    if (isUnreadable(fields, i)) return undefined;
    const entry = fields[i] === undefined
      ? { key: copyKey(keys[i / ENTRY_FIELDS]), value: null, versionstamp: null }
      : entryAt(fields, i);
    ArrayPrototypePush(entries, entry);
  }
  return entries;
}

function watchKeys(handle, keys, options) {
  const { ReadableStream } = globalThis;
  if (typeof ReadableStream !== "function") {
    throw new TypeError(
      "Deno.Kv.watch needs ReadableStream, which this runtime does not have: add deno_web to it",
    );
  }
  const raw = options.raw ?? false;
  const watcher = op_kv_watch(handle, keys, raw ? true : false);
  const watched = [];
  for (let i = 0; i < keys.length; i++) ArrayPrototypePush(watched, copyKey(keys[i]));
  return new ReadableStream({
    async pull(controller) {
      try {
        while (await op_kv_watch_next(watcher)) {
          const fields = op_kv_watch_take(watcher, codec);
          if (fields === null) break;
          const entries = entriesOf(fields, watched);
          // A state that can't be read is left out; the key has another once it is set again.
          if (entries !== undefined) return controller.enqueue(entries);
        }
        op_kv_watch_close(watcher);
        controller.close();
      } catch (error) {
        op_kv_watch_close(watcher);
        controller.error(error);
      }
    },
    cancel() {
      op_kv_watch_close(watcher);
    },
  });
}

export { watchKeys };
