// Deno.errors: the classes that ops throw by name, beyond those of the language.

import { core, primordials } from "ext:core/mod.js";

const { Error, ObjectDefineProperty } = primordials;
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");

const names = [
  "NotFound",
  "PermissionDenied",
  "ConnectionRefused",
  "ConnectionReset",
  "ConnectionAborted",
  "NotConnected",
  "AddrInUse",
  "AddrNotAvailable",
  "BrokenPipe",
  "AlreadyExists",
  "InvalidData",
  "TimedOut",
  "WouldBlock",
  "WriteZero",
  "UnexpectedEof",
  "Http",
  "Busy",
  "NotSupported",
  "FilesystemLoop",
  "IsADirectory",
  "NetworkUnreachable",
  "NotADirectory",
];

function makeClass(name) {
  class DenoError extends Error {
    constructor(message, options) {
      super(message, options);
      this.name = name;
    }
  }
  ObjectDefineProperty(DenoError, "name", { __proto__: null, value: name });
  core.registerErrorClass(name, DenoError);
  return DenoError;
}

// deno_core itself has made the first three.
const errors = {
  BadResource: core.BadResource,
  Interrupted: core.Interrupted,
  NotCapable: core.NotCapable,
};
for (let i = 0; i < names.length; i++) {
  errors[names[i]] = makeClass(names[i]);
}

const domExceptions = [
  "OperationError",
  "QuotaExceededError",
  "NotSupportedError",
  "NetworkError",
  "AbortError",
  "InvalidCharacterError",
  "DataError",
  "InvalidStateError",
];
for (let i = 0; i < domExceptions.length; i++) {
  const name = domExceptions[i];
  core.registerErrorBuilder(
    `DOMException${name}`,
    (message) => new DOMException(message, name),
  );
}

export { errors };
