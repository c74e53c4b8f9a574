// Settles calls whose answer may not be there yet. An op returns the answer, or a number: a ticket to wait with.
//
// A commit under a ticket waits for somebody to lead it (kv_store's engine/answer.rs has the rule). Waiting for it in
// the event loop leads it after a turn, together with what other tasks ask for until then. A turn takes a tenth of
// what the disk does, so a commit that is alone is led here, a few microtasks later.

import {
  op_kv_take_read,
  op_kv_try_commit,
  op_kv_wait_commit,
  op_kv_wait_read,
} from "ext:core/ops";
import { codec } from "ext:kv_ext/codec.js";
import { isTurnDue, turn } from "ext:kv_ext/turn.js";

/** In microtasks: writes that several async functions of a script ask for at once have been asked for by then. */
const HOPS = 8;

/** What a durable commit counts as work: a turn comes about every millisecond. */
const COMMIT_WORK = 32;

/** The outcome of an op that commits. */
async function settleCommit(handle, result) {
  if (typeof result !== "number") {
    if (isTurnDue(1)) await turn();
    return result;
  }
  for (let i = 0; i < HOPS; i++) await undefined;
  // Undefined: others wait too, or it would take long.
  const outcome = op_kv_try_commit(handle, result);
  if (outcome === undefined) return await op_kv_wait_commit(handle, result);
  if (isTurnDue(COMMIT_WORK)) await turn();
  return outcome;
}

/** What the read under a ticket has found: for each range its entries, flat. */
async function settleRead(handle, ticket) {
  await op_kv_wait_read(handle, ticket);
  return op_kv_take_read(handle, ticket, codec);
}

export { settleCommit, settleRead };
