// Deno.test: registers tests, and runs them one by one when the runner asks.

import { core, internals, primordials } from "ext:core/mod.js";
import { op_kv_test_register, op_kv_test_step, op_kv_test_step_done } from "ext:core/ops";

const {
  ArrayPrototypePush,
  Error,
  ObjectAssign,
  StringPrototypeTrim,
  TypeError,
} = primordials;

const { setExitHandler } = core.loadExtScript("ext:deno_os/30_os.js");

/** Definitions in the order of registration; the runner knows them by index. */
const tests = [];
const hooks = { __proto__: null, beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] };
const hookNames = ["beforeAll", "beforeEach", "afterEach", "afterAll"];

/** One definition from any of the forms in which a test or a step can be given. */
function definition(what, args, overrides) {
  const { 0: first, 1: second, 2: third } = args;
  let def;
  if (typeof first === "string") {
    def = typeof second === "object" && second !== null
      ? { ...second, name: first, fn: third ?? second.fn }
      : { name: first, fn: second };
    if (typeof second === "object" && second !== null && second.fn !== undefined) {
      throw new TypeError(
        "Unexpected 'fn' field in options, test function is already provided as the third argument",
      );
    }
    if (typeof second === "object" && second !== null && second.name !== undefined) {
      throw new TypeError(
        "Unexpected 'name' field in options, test name is already provided as the first argument",
      );
    }
  } else if (typeof first === "function") {
    if (!first.name) throw new TypeError(`The ${what} function must have a name`);
    if (second !== undefined) {
      throw new TypeError("Unexpected second argument to Deno.test()");
    }
    def = { name: first.name, fn: first };
  } else if (typeof first === "object" && first !== null) {
    def = { ...first };
    if (typeof second === "function") {
      if (first.fn !== undefined) {
        throw new TypeError(
          "Unexpected 'fn' field in options, test function is already provided as the second argument",
        );
      }
      def.fn = second;
      def.name ??= second.name;
    }
  } else {
    throw new TypeError(`Expected a ${what} definition, a name or a function`);
  }
  if (typeof def.fn !== "function") {
    throw new TypeError(`Expected 'fn' field in the first argument to be a ${what} function`);
  }
  if (typeof def.name !== "string") {
    throw new TypeError(`The ${what} name must be a string`);
  }
  if (StringPrototypeTrim(def.name) === "") {
    throw new TypeError(`The ${what} name can't be empty`);
  }
  return ObjectAssign(def, overrides);
}

function register(args, overrides) {
  const def = definition("test", args, overrides);
  const { lineNumber, columnNumber } = core.currentUserCallSite();
  op_kv_test_register(
    def.name,
    !!def.ignore,
    !!def.only,
    lineNumber,
    columnNumber,
  );
  ArrayPrototypePush(tests, def);
}

function test(...args) {
  register(args, undefined);
}
test.only = (...args) => register(args, { only: true });
test.ignore = (...args) => register(args, { ignore: true });
for (let i = 0; i < hookNames.length; i++) {
  const name = hookNames[i];
  test[name] = (fn) => {
    if (typeof fn !== "function") {
      throw new TypeError(`Expected a function as argument to Deno.test.${name}`);
    }
    ArrayPrototypePush(hooks[name], fn);
  };
}

/** Steps have failed, and were reported; nothing else went wrong. */
class StepsFailed extends Error {
  name = "StepsFailed";

  constructor(count) {
    super(count === 1 ? "due to 1 failed step" : `due to ${count} failed steps`);
  }
}

/** What a test function gets, and each of its steps. */
class TestContext {
  #depth;
  #failed = 0;
  #running = 0;
  #done = false;

  constructor(name, origin, parent, depth) {
    this.name = name;
    this.origin = origin;
    this.parent = parent;
    this.#depth = depth;
  }

  async step(...args) {
    const { lineNumber, columnNumber } = core.currentUserCallSite();
    const def = definition("test step", args, undefined);
    if (this.#done) {
      throw new Error(
        "Cannot run test step after parent scope has finished execution. " +
          "Ensure any `.step(...)` calls are awaited before their parent scope completes execution.",
      );
    }
    op_kv_test_step(this.#depth, def.name, lineNumber, columnNumber);
    if (def.ignore) {
      op_kv_test_step_done(this.#depth, def.name, "ignored", undefined);
      return false;
    }
    const context = new TestContext(def.name, this.origin, this, this.#depth + 1);
    this.#running++;
    let status = "ok";
    let error;
    try {
      await def.fn(context);
      context.#finish();
    } catch (thrown) {
      status = "failed";
      error = thrown;
    }
    this.#running--;
    op_kv_test_step_done(this.#depth, def.name, status, error);
    if (status === "failed") this.#failed++;
    return status === "ok";
  }

  #finish() {
    this.#done = true;
    if (this.#running > 0) {
      throw new Error(
        "Started test step while another test step with sanitizers was running: " +
          "await all steps before the test ends",
      );
    }
    if (this.#failed > 0) {
      throw new StepsFailed(this.#failed);
    }
  }

  static async run(def, origin) {
    const context = new TestContext(def.name, origin, undefined, 1);
    // Nothing would report how the test ended.
    setExitHandler((code) => {
      throw new Error(`Test case attempted to exit with exit code: ${code}`);
    });
    try {
      await def.fn(context);
    } finally {
      setExitHandler(null);
    }
    context.#finish();
  }
}

async function runHooks(fns) {
  for (let i = 0; i < fns.length; i++) await fns[i]();
}

// Called by the runner. They reject with what the test has thrown.
internals.runTest = async (index) => {
  await runHooks(hooks.beforeEach);
  try {
    await TestContext.run(tests[index], internals.testOrigin);
  } finally {
    await runHooks(hooks.afterEach);
  }
};
internals.runHooks = (name) => runHooks(hooks[name]);

export { test };
