// What every call needs to know of the handle behind a Deno.Kv object.

import { core, primordials } from "ext:core/mod.js";

const { BadResource } = core;
const { Symbol, TypeError } = primordials;

/** Stands for the versionstamp of the commit, as the last part of a key that is set. */
const commitVersionstampSymbol = Symbol("KvCommitVersionstamp");

/** The handle, unless the object was made by hand and has none. */
function checkHandle(handle) {
  if (handle === undefined) throw new BadResource("Bad resource ID");
  return handle;
}

/** Whether a read may see an older state, if the engine has one. */
function isEventual(consistency) {
  if (consistency === "eventual") return true;
  if (consistency === undefined || consistency === null || consistency === "strong") return false;
  throw new TypeError(
    `consistency must be "strong" or "eventual": received ${
      typeof consistency === "string" ? `"${consistency}"` : typeof consistency
    }`,
  );
}

export { checkHandle, commitVersionstampSymbol, isEventual };
