// Deno.AtomicOperation: collects checks and mutations, and commits them together.

import { primordials } from "ext:core/mod.js";
import { op_kv_check_enqueue, op_kv_commit } from "ext:core/ops";
import { checkHandle, commitVersionstampSymbol } from "ext:kv_ext/handle.js";
import {
  CHECK_FIELDS,
  DELETE,
  ENQUEUE_FIELDS,
  KIND_V8,
  MAX,
  MIN,
  MUTATION_FIELDS,
  SET,
  SUM,
} from "ext:kv_ext/protocol.js";
import { settleCommit } from "ext:kv_ext/settle.js";
import { KvU64 } from "ext:kv_ext/u64.js";
import { freezeValue, kindOf, thawValue } from "ext:kv_ext/value.js";

const {
  ArrayPrototypeJoin,
  ArrayPrototypePush,
  NumberIsInteger,
  ObjectHasOwn,
  SymbolFor,
  TypeError,
} = primordials;

const TYPES = { __proto__: null, set: SET, delete: DELETE, sum: SUM, min: MIN, max: MAX };
const TYPE_NAMES = ["set", "delete", "sum", "min", "max"];
/** The fields of a message after its payload. */
const ENQUEUE_OPTIONS = ["delay", "keysIfUndelivered", "backoffSchedule"];

function validateExpireIn(expireIn) {
  if (
    expireIn !== undefined && (!NumberIsInteger(expireIn) || expireIn < 0)
  ) {
    throw new TypeError(
      `expireIn must be a non-negative integer: received ${expireIn}`,
    );
  }
}

/** Only Kv.atomic() can give an operation a database; one made by hand has none to commit to. */
let atomicOperation;

class AtomicOperation {
  #handle;
  #checks = [];
  #mutations = [];
  #enqueues = [];

  static {
    atomicOperation = (handle) => {
      const operation = new AtomicOperation();
      operation.#handle = handle;
      return operation;
    };
  }

  check(...checks) {
    for (let i = 0; i < checks.length; i++) {
      ArrayPrototypePush(this.#checks, checks[i].key, checks[i].versionstamp);
    }
    return this;
  }

  mutate(...mutations) {
    for (let i = 0; i < mutations.length; i++) {
      const mutation = mutations[i];
      const key = mutation.key;
      const type = TYPES[mutation.type];
      if (typeof mutation.type !== "string" || type === undefined) {
        throw new TypeError("Invalid mutation type");
      }
      if (type === DELETE) {
        if (mutation.value) {
          throw new TypeError("Invalid mutation 'delete' with value");
        }
        this.delete(key);
        continue;
      }
      let expireIn;
      if (type === SET && typeof mutation.expireIn === "number") {
        expireIn = mutation.expireIn;
        validateExpireIn(expireIn);
      }
      if (!ObjectHasOwn(mutation, "value")) {
        throw new TypeError(
          `Invalid mutation '${TYPE_NAMES[type]}' without value`,
        );
      }
      this.#push(key, type, mutation.value, expireIn);
    }
    return this;
  }

  sum(key, n) {
    return this.#push(key, SUM, new KvU64(n));
  }

  min(key, n) {
    return this.#push(key, MIN, new KvU64(n));
  }

  max(key, n) {
    return this.#push(key, MAX, new KvU64(n));
  }

  set(key, value, options) {
    const expireIn = options?.expireIn;
    validateExpireIn(expireIn);
    return this.#push(key, SET, value, expireIn);
  }

  delete(key) {
    ArrayPrototypePush(
      this.#mutations,
      key,
      DELETE,
      undefined,
      undefined,
      undefined,
    );
    return this;
  }

  enqueue(message, options) {
    const delay = options?.delay;
    const backoffSchedule = options?.backoffSchedule;
    op_kv_check_enqueue(this.#handle, delay, backoffSchedule);
    ArrayPrototypePush(
      this.#enqueues,
      freezeValue(KIND_V8, message),
      delay,
      options?.keysIfUndelivered,
      backoffSchedule,
    );
    return this;
  }

  #push(key, type, value, expireIn = undefined) {
    const kind = kindOf(value);
    const frozen = freezeValue(kind, value);
    ArrayPrototypePush(this.#mutations, key, type, kind, frozen, expireIn);
    return this;
  }

  async commit() {
    const handle = checkHandle(this.#handle);
    const result = op_kv_commit(
      handle,
      this.#checks,
      this.#mutations,
      this.#enqueues,
      commitVersionstampSymbol,
    );
    const versionstamp = await settleCommit(handle, result);
    return versionstamp === null ? { ok: false } : { ok: true, versionstamp };
  }

  then() {
    throw new TypeError(
      "'Deno.AtomicOperation' is not a promise: did you forget to call 'commit()'",
    );
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    const lines = ["AtomicOperation"];
    const checks = this.#checks;
    for (let i = 0; i < checks.length; i += CHECK_FIELDS) {
      const key = inspect(checks[i], inspectOptions);
      const versionstamp = checks[i + 1] === null ? "null" : `"${checks[i + 1]}"`;
      ArrayPrototypePush(
        lines,
        `  check({ key: ${key}, versionstamp: ${versionstamp} })`,
      );
    }
    const mutations = this.#mutations;
    for (let i = 0; i < mutations.length; i += MUTATION_FIELDS) {
      const type = mutations[i + 1];
      let args = inspect(mutations[i], inspectOptions);
      if (type !== DELETE) {
        const value = thawValue(mutations[i + 2], mutations[i + 3]);
        args += `, ${inspect(value, inspectOptions)}`;
        const expireIn = mutations[i + 4];
        if (expireIn !== undefined) args += `, { expireIn: ${expireIn} }`;
      }
      ArrayPrototypePush(lines, `  ${TYPE_NAMES[type]}(${args})`);
    }
    const enqueues = this.#enqueues;
    for (let i = 0; i < enqueues.length; i += ENQUEUE_FIELDS) {
      let args = inspect(thawValue(KIND_V8, enqueues[i]), inspectOptions);
      const options = [];
      for (let j = 0; j < ENQUEUE_OPTIONS.length; j++) {
        const option = enqueues[i + 1 + j];
        if (option === undefined) continue;
        ArrayPrototypePush(options, `${ENQUEUE_OPTIONS[j]}: ${inspect(option, inspectOptions)}`);
      }
      if (options.length > 0) args += `, { ${ArrayPrototypeJoin(options, ", ")} }`;
      ArrayPrototypePush(lines, `  enqueue(${args})`);
    }
    return lines.length === 1
      ? "AtomicOperation (empty)"
      : ArrayPrototypeJoin(lines, "\n");
  }
}

export { AtomicOperation, atomicOperation, validateExpireIn };
