// The entry point: everything above is in the snapshot. What is left for the start of a process
// is in `internals.start`, which the runtime calls once.

import { core, internals, primordials } from "ext:core/mod.js";
import { op_set_format_exception_callback } from "ext:core/ops";
import { consoleModule, event } from "ext:kv_bootstrap/02_globals.js";
import { startNamespace } from "ext:kv_bootstrap/04_deno.js";

const {
  ErrorPrototype,
  FunctionPrototypeBind,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  SymbolFor,
} = primordials;
const { Event, EventTarget, PromiseRejectionEvent } = event;

const dispatchToGlobal = FunctionPrototypeBind(
  EventTarget.prototype.dispatchEvent,
  globalThis,
);

function unhandledRejection(promise, reason) {
  const rejection = new PromiseRejectionEvent("unhandledrejection", {
    promise,
    reason,
    cancelable: true,
  });
  dispatchToGlobal(rejection);
  // A listener that called preventDefault() has dealt with it.
  return rejection.defaultPrevented;
}

/** Deno.exit() looks for this, not to dispatch the event twice. */
const unloadDispatched = SymbolFor("Deno.isUnloadDispatched");

internals.dispatchLoad = () => {
  dispatchToGlobal(new Event("load"));
};
/** True if a listener asks to keep running, which only makes sense if it has started more work. */
internals.dispatchBeforeUnload = () =>
  !dispatchToGlobal(new Event("beforeunload", { cancelable: true }));
internals.dispatchUnload = () => {
  if (globalThis[unloadDispatched]) return;
  ObjectDefineProperty(globalThis, unloadDispatched, {
    __proto__: null,
    value: true,
    writable: true,
    configurable: true,
  });
  dispatchToGlobal(new Event("unload"));
};

/** What an uncaught value that is no error looks like in the message that ends the run. */
function formatException(thrown) {
  if (core.isNativeError(thrown) || ObjectPrototypeIsPrototypeOf(ErrorPrototype, thrown)) {
    return null;
  }
  return `Uncaught ${consoleModule.inspect(thrown, options())}`;
}

function options() {
  return consoleModule.getConsoleInspectOptions(consoleModule.getStderrNoColor());
}

internals.start = () => {
  op_set_format_exception_callback(formatException);
  core.setReportExceptionCallback(event.reportException);
  core.setUnhandledPromiseRejectionHandler(unhandledRejection);
  internals.setTimeOrigin();
  ObjectDefineProperty(
    globalThis,
    "Deno",
    core.propReadOnly(startNamespace()),
  );
  delete globalThis.__bootstrap;
  delete globalThis.bootstrap;
  return internals;
};

// How the runtime finds it; it takes it away again.
globalThis.__kvInternals = internals;
