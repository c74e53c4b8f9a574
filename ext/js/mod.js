// The module that the extension runs when a runtime starts: it puts the KV classes on `Deno`.
// Nothing else of the global object is touched.

import { primordials } from "ext:core/mod.js";
import { AtomicOperation } from "ext:kv_ext/atomic.js";
import { Kv, openKv } from "ext:kv_ext/kv.js";
import { KvListIterator } from "ext:kv_ext/list.js";
import { KvU64 } from "ext:kv_ext/u64.js";

const { ObjectDefineProperty, ObjectEntries } = primordials;

if (globalThis.Deno === undefined) {
  ObjectDefineProperty(globalThis, "Deno", {
    __proto__: null,
    value: {},
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

const api = ObjectEntries({ AtomicOperation, Kv, KvListIterator, KvU64, openKv });
for (let i = 0; i < api.length; i++) {
  ObjectDefineProperty(globalThis.Deno, api[i][0], {
    __proto__: null,
    value: api[i][1],
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
