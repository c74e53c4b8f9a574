// What every call needs to know of the handle behind a Deno.Kv object.

import { core } from "ext:core/mod.js";
import { op_kv_wait_commit } from "ext:core/ops";
import { isTurnDue, turn } from "ext:kv_ext/turn.js";

const { BadResource } = core;

/** Stands for the versionstamp of the commit, as the last part of a key that is set. */
const commitVersionstampSymbol = Symbol("KvCommitVersionstamp");

/** The handle, unless the object was made by hand and has none. */
function checkHandle(handle) {
  if (handle === undefined) throw new BadResource("Bad resource ID");
  return handle;
}

/** The result of an op that commits: it is a ticket while the writer is at work. */
async function committed(handle, result) {
  if (typeof result === "number") return await op_kv_wait_commit(handle, result);
  if (isTurnDue(1)) await turn();
  return result;
}

/** Both levels read the same here: there is one copy of the data. */
function checkConsistency(consistency) {
  if (
    consistency !== undefined && consistency !== null &&
    consistency !== "strong" && consistency !== "eventual"
  ) {
    throw new TypeError(
      `consistency must be "strong" or "eventual": received ${
        typeof consistency === "string" ? `"${consistency}"` : typeof consistency
      }`,
    );
  }
}

export {
  checkConsistency,
  checkHandle,
  commitVersionstampSymbol,
  committed,
};
