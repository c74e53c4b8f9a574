// Deno.Kv.watch: a stream of what keys are, each time one of them has changed.

import { primordials } from "ext:core/mod.js";
import {
  op_kv_take_read,
  op_kv_wait_read,
  op_kv_watch,
  op_kv_watch_changed,
  op_kv_watch_close,
  op_kv_watch_read,
} from "ext:core/ops";
import { codec } from "ext:kv_ext/codec.js";
import { ENTRY_FIELDS, entryAt, isUnreadable } from "ext:kv_ext/entry.js";

const { ArrayPrototypeMap, ArrayPrototypePush, ArrayPrototypeSlice, TypeError } = primordials;

/** What the keys are now. Undefined: one of them can't be read. Null: the handle is closed. */
async function readKeys(handle, watcher, keys) {
  const fields = op_kv_watch_read(watcher, codec);
  if (fields === null) return null;
  const entries = [];
  if (typeof fields === "number") {
    await op_kv_wait_read(handle, fields);
    const ranges = op_kv_take_read(handle, fields, codec);
    for (let i = 0; i < ranges.length; i++) {
      if (ranges[i].length > 0 && isUnreadable(ranges[i], 0)) return undefined;
      ArrayPrototypePush(entries, ranges[i].length === 0 ? null : entryAt(ranges[i], 0));
    }
  } else {
    for (let i = 0; i < fields.length; i += ENTRY_FIELDS) {
      if (isUnreadable(fields, i)) return undefined;
      ArrayPrototypePush(entries, fields[i] === undefined ? null : entryAt(fields, i));
    }
  }
  return ArrayPrototypeMap(
    entries,
    (entry, i) =>
      entry ?? { key: ArrayPrototypeSlice(keys[i]), value: null, versionstamp: null },
  );
}

function watchKeys(handle, keys, options) {
  const { ReadableStream } = globalThis;
  if (typeof ReadableStream !== "function") {
    throw new TypeError(
      "Deno.Kv.watch needs ReadableStream, which this runtime does not have: add deno_web to it",
    );
  }
  const raw = options.raw ?? false;
  const watcher = op_kv_watch(handle, keys);
  const watched = ArrayPrototypeMap(keys, (key) => ArrayPrototypeSlice(key));
  /** The versionstamps of the entries that were handed out last. */
  let last = null;
  return new ReadableStream({
    async pull(controller) {
      try {
        // No keys never change.
        while (watched.length > 0) {
          if (last !== null && !await op_kv_watch_changed(watcher)) break;
          const entries = await readKeys(handle, watcher, watched);
          if (entries === null) break;
          if (entries === undefined) {
            // There is no state to hand out until the key is set again, and that one is new.
            last = [];
            continue;
          }
          const stamps = ArrayPrototypeMap(entries, (entry) => entry.versionstamp);
          let changed = last === null || raw;
          for (let i = 0; !changed && i < stamps.length; i++) {
            changed = stamps[i] !== last[i];
          }
          last = stamps;
          if (changed) return controller.enqueue(entries);
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
