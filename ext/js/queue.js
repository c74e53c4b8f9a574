// Deno.Kv.listenQueue: hands messages to a handler, and tells the store how each ended.

import { core, primordials } from "ext:core/mod.js";
import {
  op_kv_end_delivery,
  op_kv_listen,
  op_kv_message,
  op_kv_receive,
  op_kv_release_listener,
} from "ext:core/ops";
import { codec } from "ext:kv_ext/codec.js";

const { ErrorPrototype, ObjectPrototypeIsPrototypeOf, String, TypeError } = primordials;

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
    // As in Deno, only a promise is waited for, and nothing else that has a then().
    const result = handler(op_kv_message(listener, number, codec));
    if (core.isPromise(result)) await result;
    delivered = true;
  } catch (error) {
    report(error);
  }
  try {
    await op_kv_end_delivery(listener, number, delivered);
  } catch (error) {
    // The message is delivered again, here or elsewhere, when its lease has expired.
    report(error);
  }
}

async function listen(handle, handler) {
  if (typeof handler !== "function") {
    throw new TypeError(`handler must be a function: received ${typeof handler}`);
  }
  const listener = op_kv_listen(handle);
  try {
    while (true) {
      // As many messages as there is room for; the ops count the handlers that are at work.
      const { 0: last, 1: count } = await op_kv_receive(listener);
      if (count === 0) break;
      for (let number = last - count + 1; number <= last; number++) {
        deliver(listener, number, handler);
      }
    }
  } finally {
    // Handlers that are at work have their messages acked or nacked, each once, also after close().
    op_kv_release_listener(listener);
  }
}

export { listen };
