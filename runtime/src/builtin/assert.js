// Assertions for tests, under the names that @std/assert gives them: what `import … from
// "@std/assert"` or "jsr:@std/assert" means in `kv`. Plain JavaScript: it runs on Deno too.

/** Thrown by a failed assertion. */
export class AssertionError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function format(value) {
  return Deno.inspect(value, {
    depth: Infinity,
    sorted: true,
    trailingComma: true,
    compact: false,
    iterableLimit: Infinity,
    strAbbreviateSize: Infinity,
  });
}

function fail_(message, explanation) {
  const suffix = message ? `: ${message}` : ".";
  throw new AssertionError(explanation(suffix));
}

// Equality.

function sameKeys(a, b, compare) {
  const keys = Reflect.ownKeys(a);
  if (keys.length !== Reflect.ownKeys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && compare(a[key], b[key]));
}

function sameSets(a, b, compare) {
  if (a.size !== b.size) return false;
  const unmatched = new Set(b);
  for (const value of a) {
    if (unmatched.delete(value)) continue;
    const twin = [...unmatched].find((other) => compare(value, other));
    if (twin === undefined) return false;
    unmatched.delete(twin);
  }
  return true;
}

function sameMaps(a, b, compare) {
  if (a.size !== b.size) return false;
  const unmatched = new Map(b);
  for (const [key, value] of a) {
    if (unmatched.has(key)) {
      if (!compare(value, unmatched.get(key))) return false;
      unmatched.delete(key);
      continue;
    }
    const twin = [...unmatched].find(([otherKey, other]) =>
      compare(key, otherKey) && compare(value, other)
    );
    if (twin === undefined) return false;
    unmatched.delete(twin[0]);
  }
  return true;
}

function bytesOf(view) {
  return ArrayBuffer.isView(view)
    ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    : new Uint8Array(view);
}

function sameBytes(a, b) {
  const [left, right] = [bytesOf(a), bytesOf(b)];
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}

/** Whether two values have the same structure and contents; cycles are followed. */
export function equal(a, b) {
  const seen = new Map();
  function compare(a, b) {
    if (Object.is(a, b)) return true;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
    // Inside a cycle, what was being compared above is taken to be equal.
    if (seen.get(a) === b) return true;
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) {
      const plain = (value) => {
        const prototype = Object.getPrototypeOf(value);
        return prototype === null || prototype === Object.prototype;
      };
      if (!plain(a) || !plain(b)) return false;
    }
    seen.set(a, b);
    if (a instanceof WeakMap || a instanceof WeakSet) return false;
    if (a instanceof WeakRef) return compare(a.deref(), b.deref());
    if (a instanceof RegExp || a instanceof URL) return String(a) === String(b);
    if (a instanceof Date) return Object.is(a.getTime(), b.getTime());
    if (a instanceof Set) return sameSets(a, b, compare);
    if (a instanceof Map) return sameMaps(a, b, compare);
    if (a instanceof ArrayBuffer || ArrayBuffer.isView(a)) return sameBytes(a, b);
    if (a instanceof Number || a instanceof Boolean || a instanceof String) {
      return Object.is(a.valueOf(), b.valueOf());
    }
    if (a instanceof Error) {
      return a.name === b.name && a.message === b.message && compare(a.cause, b.cause);
    }
    return sameKeys(a, b, compare);
  }
  return compare(a, b);
}

// Differences.

/** The lines of both texts in order, each with where it stands: both, only left, only right. */
function diffLines(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  let leftEnd = left.length;
  let rightEnd = right.length;
  while (leftEnd > start && rightEnd > start && left[leftEnd - 1] === right[rightEnd - 1]) {
    leftEnd--;
    rightEnd--;
  }
  const a = left.slice(start, leftEnd);
  const b = right.slice(start, rightEnd);
  const middle = [];
  if (a.length * b.length > 4_000_000) {
    // A table for so many lines would not fit; nobody reads such a difference line by line.
    middle.push(...a.map((line) => ["-", line]), ...b.map((line) => ["+", line]));
  } else {
    // lengths[i][j]: the longest common subsequence of a from i and b from j.
    const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        lengths[i][j] = a[i] === b[j]
          ? lengths[i + 1][j + 1] + 1
          : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
      }
    }
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) {
        middle.push([" ", a[i++]]);
        j++;
      } else if (j === b.length || (i < a.length && lengths[i + 1][j] >= lengths[i][j + 1])) {
        middle.push(["-", a[i++]]);
      } else {
        middle.push(["+", b[j++]]);
      }
    }
  }
  return [
    ...left.slice(0, start).map((line) => [" ", line]),
    ...middle,
    ...left.slice(leftEnd).map((line) => [" ", line]),
  ];
}

function diff(actual, expected) {
  const text = (value, other) =>
    typeof value === "string" && typeof other === "string" ? value : format(value);
  const lines = diffLines(
    text(actual, expected).split("\n"),
    text(expected, actual).split("\n"),
  );
  const paint = (code, line) => Deno.noColor ? line : `\x1b[${code}m${line}\x1b[0m`;
  const bold = (line) => Deno.noColor ? line : `\x1b[1m${line}\x1b[22m`;
  const shown = lines.map(([mark, line]) => {
    if (mark === "-") return paint("31", `-   ${line}`);
    if (mark === "+") return paint("32", `+   ${line}`);
    return `    ${line}`;
  });
  return `\n\n    ${bold("[Diff]")} Actual / Expected\n\n\n${shown.join("\n")}\n`;
}

// Assertions.

/** Fails unless `value` is truthy. */
export function assert(value, message = "") {
  if (!value) throw new AssertionError(message);
}

/** Fails unless `value` is falsy. */
export function assertFalse(value, message = "") {
  if (value) throw new AssertionError(message);
}

/** Fails unless both have the same structure and contents. */
export function assertEquals(actual, expected, message) {
  if (equal(actual, expected)) return;
  fail_(message, (suffix) => `Values are not equal${suffix}\n${diff(actual, expected)}`);
}

/** Fails if both have the same structure and contents. */
export function assertNotEquals(actual, expected, message) {
  if (!equal(actual, expected)) return;
  fail_(message, (suffix) =>
    `Expected actual: ${format(actual)} not to be: ${format(expected)}${suffix}`);
}

/** Fails unless both are the same value or object. */
export function assertStrictEquals(actual, expected, message) {
  if (Object.is(actual, expected)) return;
  fail_(message, (suffix) =>
    format(actual) === format(expected)
      ? `Values have the same structure but are not reference-equal${suffix}\n\n${
        format(actual).split("\n").map((line) => `    ${line}`).join("\n")
      }\n`
      : `Values are not strictly equal${suffix}\n${diff(actual, expected)}`);
}

/** Fails if both are the same value or object. */
export function assertNotStrictEquals(actual, expected, message) {
  if (!Object.is(actual, expected)) return;
  fail_(message, (suffix) => `Expected "actual" to not be strictly equal to: ${format(actual)}${suffix}\n`);
}

/** Fails if the value is null or undefined. */
export function assertExists(actual, message) {
  if (actual !== undefined && actual !== null) return;
  fail_(message, (suffix) => `Expected actual: "${actual}" to not be null or undefined${suffix}`);
}

/** Fails unless the numbers differ by no more than the tolerance (by default 1e-7, relative). */
export function assertAlmostEquals(actual, expected, tolerance, message) {
  if (Object.is(actual, expected)) return;
  const allowed = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  const delta = Math.abs(expected - actual);
  if (delta <= allowed) return;
  fail_(message, (suffix) =>
    `Expected actual: "${actual}" to be close to "${expected}"${suffix} delta "${delta}" is greater than "${allowed}"`);
}

/** Fails unless the object is an instance of the class. */
export function assertInstanceOf(actual, expectedType, message) {
  if (actual instanceof expectedType) return;
  const what = actual === null
    ? "null"
    : typeof actual === "object"
    ? actual.constructor?.name ?? "Object"
    : typeof actual;
  fail_(message, (suffix) =>
    `Expected object to be an instance of "${expectedType.name || "anonymous class"}" but was ${
      typeof actual === "object" && actual !== null ? `"${what}"` : `"${what}"`
    }${suffix}`);
}

/** Fails if the object is an instance of the class. */
export function assertNotInstanceOf(actual, unexpectedType, message) {
  if (!(actual instanceof unexpectedType)) return;
  fail_(message, (suffix) => `Expected object to not be an instance of "${unexpectedType.name}"${suffix}`);
}

/** Fails unless the string matches the regular expression. */
export function assertMatch(actual, expected, message) {
  if (expected.test(actual)) return;
  fail_(message, (suffix) => `Expected actual: "${actual}" to match: "${expected}"${suffix}`);
}

/** Fails if the string matches the regular expression. */
export function assertNotMatch(actual, expected, message) {
  if (!expected.test(actual)) return;
  fail_(message, (suffix) => `Expected actual: "${actual}" to not match: "${expected}"${suffix}`);
}

/** Fails unless the string contains the other. */
export function assertStringIncludes(actual, expected, message) {
  if (actual.includes(expected)) return;
  fail_(message, (suffix) => `Expected actual: "${actual}" to contain: "${expected}"${suffix}`);
}

/** Fails unless the array holds all of the expected values. */
export function assertArrayIncludes(actual, expected, message) {
  const missing = expected.filter((value) => !actual.some((other) => equal(value, other)));
  if (missing.length === 0) return;
  fail_(message, (suffix) =>
    `Expected actual: "${format(actual)}" to include: "${format(expected)}"${suffix}\nmissing: ${format(missing)}`);
}

/** Fails unless the object has all properties of the expected one, with equal values. */
export function assertObjectMatch(actual, expected, message) {
  function pick(actual, expected) {
    if (typeof actual !== "object" || typeof expected !== "object" || !actual || !expected) {
      return actual;
    }
    if (Object.getPrototypeOf(expected) !== Object.prototype && !Array.isArray(expected)) {
      return actual;
    }
    const picked = Array.isArray(expected) ? [] : {};
    for (const key of Reflect.ownKeys(expected)) {
      if (key in actual) picked[key] = pick(actual[key], expected[key]);
    }
    return picked;
  }
  assertEquals(pick(actual, expected), expected, message);
}

/** Fails unless `actual > expected`. */
export function assertGreater(actual, expected, message) {
  if (actual > expected) return;
  fail_(message, (suffix) => `Expect ${format(actual)} > ${format(expected)}${suffix}`);
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual(actual, expected, message) {
  if (actual >= expected) return;
  fail_(message, (suffix) => `Expect ${format(actual)} >= ${format(expected)}${suffix}`);
}

/** Fails unless `actual < expected`. */
export function assertLess(actual, expected, message) {
  if (actual < expected) return;
  fail_(message, (suffix) => `Expect ${format(actual)} < ${format(expected)}${suffix}`);
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual(actual, expected, message) {
  if (actual <= expected) return;
  fail_(message, (suffix) => `Expect ${format(actual)} <= ${format(expected)}${suffix}`);
}

/** Fails unless the value is an error of the class whose message includes, or matches, the text. */
export function assertIsError(error, ErrorClass, messageMatcher, message) {
  if (!(error instanceof Error)) {
    fail_(message, (suffix) => `Expected "error" to be an Error object${suffix}`);
  }
  if (ErrorClass && !(error instanceof ErrorClass)) {
    fail_(message, (suffix) =>
      `Expected error to be instance of "${ErrorClass.name}", but was "${error?.constructor?.name}"${suffix}`);
  }
  const matches = messageMatcher === undefined ||
    (messageMatcher instanceof RegExp
      ? messageMatcher.test(error.message)
      : error.message.includes(messageMatcher));
  if (!matches) {
    fail_(message, (suffix) =>
      `Expected error message to ${
        messageMatcher instanceof RegExp ? "match" : "include"
      } ${format(messageMatcher)}, but got ${format(error.message)}${suffix}`);
  }
}

/** The arguments after the function: a class and a text to look for, or only a message. */
function expectations(args) {
  return typeof args[0] === "function"
    ? { ErrorClass: args[0], includes: args[1], message: args[2] }
    : { ErrorClass: undefined, includes: undefined, message: args[0] };
}

function checkThrown(error, { ErrorClass, includes, message }) {
  if (ErrorClass) {
    if (!(error instanceof Error)) {
      fail_(message, (suffix) => `A non-Error object was thrown${suffix}`);
    }
    assertIsError(error, ErrorClass, includes, message);
  }
  return error;
}

/** Fails unless the function throws, such an error if one is described; returns what it throws. */
export function assertThrows(fn, ...args) {
  const expected = expectations(args);
  let thrown;
  try {
    fn();
  } catch (error) {
    thrown = { error };
  }
  if (!thrown) fail_(expected.message, (suffix) => `Expected function to throw${suffix}`);
  return checkThrown(thrown.error, expected);
}

/** The same for a function that returns a promise: it must reject, and not throw. */
export async function assertRejects(fn, ...args) {
  const expected = expectations(args);
  let promise;
  try {
    promise = fn();
  } catch (error) {
    fail_(expected.message, (suffix) => `Function throws when expected to reject${suffix}: ${error}`);
  }
  if (typeof promise?.then !== "function") {
    fail_(expected.message, (suffix) => `Function did not return a promise${suffix}`);
  }
  let thrown;
  try {
    await promise;
  } catch (error) {
    thrown = { error };
  }
  if (!thrown) fail_(expected.message, (suffix) => `Expected function to reject${suffix}`);
  return checkThrown(thrown.error, expected);
}

/** Fails. */
export function fail(message) {
  fail_(message, (suffix) => `Failed assertion${suffix}`);
}

/** Fails: a test has come to where it never should. */
export function unreachable(reason) {
  fail_(reason, (suffix) => `Unreachable${suffix}`);
}

/** Fails: there is no code yet. */
export function unimplemented(reason) {
  fail_(reason, (suffix) => `Unimplemented${suffix}`);
}
