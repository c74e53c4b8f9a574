// A read that is answered at once, and a write to a database in memory, resolve without a turn of
// the event loop. A script that does nothing else (`while (!(await kv.get(key)).value) {}`) would
// keep timers, and whatever it waits for, from ever running. So after some work there is a turn.

import { op_kv_turn } from "ext:core/ops";

/** In entries read or written: what takes about a millisecond. */
const WORK_A_TURN = 256;

let work = 0;

/** Counts work that was done at once; true when a turn is due, to be taken with `turn`. */
function isTurnDue(entries) {
  work += entries;
  if (work < WORK_A_TURN) return false;
  work = 0;
  return true;
}

export { isTurnDue, op_kv_turn as turn };
