// What every call needs to know of the handle behind a Deno.Kv object.

import { core } from "ext:core/mod.js";
import { op_kv_try_commit, op_kv_wait_commit } from "ext:core/ops";
import { isTurnDue, turn } from "ext:kv_ext/turn.js";

const { BadResource } = core;

/** Stands for the versionstamp of the commit, as the last part of a key that is set. */
const commitVersionstampSymbol = Symbol("KvCommitVersionstamp");

/** The handle, unless the object was made by hand and has none. */
function checkHandle(handle) {
  if (handle === undefined) throw new BadResource("Bad resource ID");
  return handle;
}

/**
 * In microtasks: what a script asks for at once, in several async functions, it has asked for when so
 * many have passed.
 */
const HOPS = 8;

/** What a durable commit counts as: a turn comes about every millisecond. */
const COMMIT_WORK = 32;

/**
 * The result of an op that commits: it is a ticket while the commit has to be made. Where no other waits,
 * a negative one, it is made here: a turn of the event loop takes a tenth of what the disk does.
 */
async function committed(handle, result) {
  if (typeof result !== "number") {
    if (isTurnDue(1)) await turn();
    return result;
  }
  if (result < 0) {
    result = -result;
    for (let i = 0; i < HOPS; i++) await undefined;
    const outcome = op_kv_try_commit(handle, result);
    if (outcome !== undefined) {
      if (isTurnDue(COMMIT_WORK)) await turn();
      return outcome;
    }
  }
  return await op_kv_wait_commit(handle, result);
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
