// Run by tests.rs: values that no structured clone takes.

const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
const values = [
  () => 1, function named() {}, class Named {}, Symbol("s"), Object(Symbol("s")),
  new WeakMap(), new WeakSet(), new WeakRef({}), new FinalizationRegistry(() => {}),
  Promise.resolve(), new Proxy({}, {}), [new Proxy([], {})], { deep: [new Map([[1, new WeakMap()]])] },
  new DisposableStack(), new AsyncDisposableStack(),
  [][Symbol.iterator](), ""[Symbol.iterator](), new Map().keys(), new Set().entries(),
  "a".matchAll(/a/g), [].values().map((x) => x), (function* () {})(), (async function* () {})(),
  (function () { return arguments; })(1), JSON.rawJSON("1"),
  new Intl.NumberFormat("en"), new Intl.Collator("en"), new Intl.Segmenter("en").segment("a"),
  // V8 has it behind a flag.
  ...(globalThis.Temporal ? [Temporal.Instant.fromEpochMilliseconds(0)] : []),
  new WebAssembly.Memory({ initial: 0 }), new WebAssembly.Instance(new WebAssembly.Module(wasm)),
];
values.map((value, i) => [`${i}`, value]);
