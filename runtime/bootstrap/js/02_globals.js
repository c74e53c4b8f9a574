// The web globals: deno_web's classes and functions, under the names and with the property
// attributes that they have in Deno.

import { core, internals, primordials } from "ext:core/mod.js";
import { crypto, Crypto } from "ext:kv_bootstrap/03_crypto.js";

const { ObjectDefineProperties, ObjectSetPrototypeOf, ReflectOwnKeys } =
  primordials;
const load = (file) => core.loadExtScript(`ext:deno_web/${file}`);

const abortSignal = load("03_abort_signal.js");
const base64 = load("05_base64.js");
const broadcastChannel = load("01_broadcast_channel.js");
const compression = load("14_compression.js");
const consoleModule = load("01_console.js");
const domException = load("01_dom_exception.js");
const encoding = load("08_text_encoding.js");
const event = load("02_event.js");
const file = load("09_file.js");
const fileReader = load("10_filereader.js");
const interfaces = load("04_global_interfaces.js");
const messagePort = load("13_message_port.js");
const performanceModule = load("15_performance.js");
const streams = load("06_streams.js");
const timers = load("02_timers.js");
const url = load("00_url.js");
const urlPattern = load("01_urlpattern.js");
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");

/** Classes: replaceable, and not seen by Object.keys(globalThis). */
const classes = {
  AbortController: abortSignal.AbortController,
  AbortSignal: abortSignal.AbortSignal,
  Blob: file.Blob,
  BroadcastChannel: broadcastChannel.BroadcastChannel,
  ByteLengthQueuingStrategy: streams.ByteLengthQueuingStrategy,
  CloseEvent: event.CloseEvent,
  CompressionStream: compression.CompressionStream,
  CountQueuingStrategy: streams.CountQueuingStrategy,
  Crypto,
  CustomEvent: event.CustomEvent,
  DecompressionStream: compression.DecompressionStream,
  DOMException: domException.DOMException,
  ErrorEvent: event.ErrorEvent,
  Event: event.Event,
  EventTarget: event.EventTarget,
  File: file.File,
  FileReader: fileReader.FileReader,
  MessageChannel: messagePort.MessageChannel,
  MessageEvent: event.MessageEvent,
  MessagePort: messagePort.MessagePort,
  Performance: performanceModule.Performance,
  PerformanceEntry: performanceModule.PerformanceEntry,
  PerformanceMark: performanceModule.PerformanceMark,
  PerformanceMeasure: performanceModule.PerformanceMeasure,
  PerformanceObserver: performanceModule.PerformanceObserver,
  PerformanceObserverEntryList:
    performanceModule.PerformanceObserverEntryList,
  ProgressEvent: event.ProgressEvent,
  PromiseRejectionEvent: event.PromiseRejectionEvent,
  ReadableByteStreamController: streams.ReadableByteStreamController,
  ReadableStream: streams.ReadableStream,
  ReadableStreamBYOBReader: streams.ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest: streams.ReadableStreamBYOBRequest,
  ReadableStreamDefaultController: streams.ReadableStreamDefaultController,
  ReadableStreamDefaultReader: streams.ReadableStreamDefaultReader,
  TextDecoder: encoding.TextDecoder,
  TextDecoderStream: encoding.TextDecoderStream,
  TextEncoder: encoding.TextEncoder,
  TextEncoderStream: encoding.TextEncoderStream,
  TransformStream: streams.TransformStream,
  TransformStreamDefaultController: streams.TransformStreamDefaultController,
  URL: url.URL,
  URLPattern: urlPattern.URLPattern,
  URLSearchParams: url.URLSearchParams,
  Window: interfaces.Window,
  WritableStream: streams.WritableStream,
  WritableStreamDefaultController: streams.WritableStreamDefaultController,
  WritableStreamDefaultWriter: streams.WritableStreamDefaultWriter,
};

const functions = {
  atob: base64.atob,
  btoa: base64.btoa,
  clearInterval: timers.clearInterval,
  clearTimeout: timers.clearTimeout,
  performance: performanceModule.performance,
  reportError: event.reportError,
  setInterval: timers.setInterval,
  setTimeout: timers.setTimeout,
  structuredClone: messagePort.structuredClone,
};

function define(entries, makeDescriptor) {
  const descriptors = { __proto__: null };
  const names = ReflectOwnKeys(entries);
  for (let i = 0; i < names.length; i++) {
    descriptors[names[i]] = makeDescriptor(entries[names[i]]);
  }
  ObjectDefineProperties(globalThis, descriptors);
}

define(classes, core.propNonEnumerable);
define(functions, core.propWritable);
define({ crypto }, core.propReadOnly);
define(
  {
    console: new consoleModule.Console((message, level) =>
      core.print(message, level > 1)
    ),
    self: globalThis,
  },
  core.propNonEnumerable,
);

// The global object is an event target: of its class, and with the mark that its methods look for.
ObjectSetPrototypeOf(globalThis, interfaces.Window.prototype);
define({ [webidl.brand]: webidl.brand }, core.propNonEnumerable);
event.saveGlobalThisReference(globalThis);
event.setEventTargetData(globalThis);
const handlers = ["error", "load", "beforeunload", "unload", "unhandledrejection"];
for (let i = 0; i < handlers.length; i++) {
  event.defineEventHandler(globalThis, handlers[i]);
}

internals.setNoColor = (stdout, stderr) =>
  consoleModule.setNoColorFns(stdout, stderr);
internals.setTimeOrigin = performanceModule.setTimeOrigin;

export { consoleModule, event, timers };
