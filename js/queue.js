// Deno.Kv.listenQueue: hands messages to a handler, and tells the store how each ended.

import { core, primordials } from "ext:core/mod.js";
import {
  op_kv_finish,
  op_kv_listen,
  op_kv_message,
  op_kv_queue_concurrency,
  op_kv_receive,
  op_kv_release_listener,
} from "ext:core/ops";
import { codec } from "ext:kv_ext/codec.js";

const { ErrorPrototype, ObjectPrototypeIsPrototypeOf, Promise, String, TypeError } =
  primordials;

/** Fields of a message in an atomic operation: payload, delay, keysIfUndelivered, backoffSchedule. */
const ENQUEUE_FIELDS = 4;

/** What a handler has thrown, with its stack where it has one. */
function report(error) {
  let text;
  try {
    text = ObjectPrototypeIsPrototypeOf(ErrorPrototype, error) &&
        typeof error.stack === "string"
      ? error.stack
      : String(error);
  } catch {
    // A getter, or a toString, that throws.
    text = "a value that can't be shown";
  }
  core.print(`Exception in queue handler ${text}\n`, true);
}

/** One message, from its arrival to its end. */
async function deliver(listener, number, handler) {
  let delivered = false;
  try {
    await handler(op_kv_message(listener, number, codec));
    delivered = true;
  } catch (error) {
    report(error);
  }
  try {
    await op_kv_finish(listener, number, delivered);
  } catch (error) {
    // The message is delivered again, here or elsewhere, when its time has run out.
    report(error);
  }
}

async function listen(handle, handler) {
  if (typeof handler !== "function") {
    throw new TypeError(`handler must be a function: received ${typeof handler}`);
  }
  const listener = op_kv_listen(handle);
  const concurrency = op_kv_queue_concurrency(handle);
  let atWork = 0;
  /** Ends the wait for a handler to come to its end. */
  let someoneIsDone = null;
  const start = async (number) => {
    await deliver(listener, number, handler);
    atWork--;
    someoneIsDone?.();
  };
  const oneIsDone = () => new Promise((resolve) => someoneIsDone = resolve);
  try {
    while (true) {
      if (atWork >= concurrency) await oneIsDone();
      const { 0: last, 1: count } = await op_kv_receive(listener, concurrency - atWork);
      if (count === 0) break;
      atWork += count;
      for (let number = last - count + 1; number <= last; number++) start(number);
    }
  } finally {
    release();
  }

  // Handlers that are at work have their messages acknowledged, each once, also after close().
  async function release() {
    while (atWork > 0) await oneIsDone();
    op_kv_release_listener(listener);
  }
}

export { ENQUEUE_FIELDS, listen };
