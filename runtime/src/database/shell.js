// What the commands get, list, set and delete do. Keys and values are JavaScript, as in a script. On a
// terminal, what is found is shown as console.log does; in a pipe it is JSON, an entry a line
// (docs/shell.md says how values look that JSON has no form for).

(() => {
  const { BrokenPipe } = Deno.errors;
  const encoder = new TextEncoder();

  /** Evaluates what was typed as `what`. */
  function evaluated(text, what) {
    try {
      return (0, eval)(`(${text}\n)`);
    } catch (error) {
      const hint = what === "value"
        ? `a value is JavaScript, as in '{ name: "Ada" }' or '"text"', in quotes for the shell`
        : `a key is an array, as in '["users", 1n]', in quotes for the shell`;
      throw new TypeError(`the ${what} ${text}: ${error.message}: ${hint}`);
    }
  }

  function key(text, what = "key") {
    const parts = evaluated(text, what);
    if (!Array.isArray(parts)) {
      throw new TypeError(
        `the ${what} ${text} is no array: a key is one, as in '["users", 1n]', in quotes for the shell`,
      );
    }
    return parts;
  }

  /** JSON for any value: an object with one name, which begins with $, is what JSON has no form for. */
  function plain(value, above = new Set()) {
    switch (typeof value) {
      case "bigint":
        return { $bigint: `${value}` };
      case "undefined":
        return { $undefined: true };
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { $number: Object.is(value, -0) ? "-0" : `${value}` };
      case "object":
        break;
      default:
        return value;
    }
    if (value === null) return null;
    if (above.has(value)) return { $circular: true };
    above.add(value);
    const result = ofObject(value, (inner) => plain(inner, above));
    above.delete(value);
    return result;
  }

  function ofObject(value, inner) {
    if (Array.isArray(value)) {
      const elements = [];
      // A hole is read as undefined, as JavaScript reads it.
      for (let i = 0; i < value.length; i++) elements.push(inner(value[i]));
      return elements;
    }
    if (value instanceof Uint8Array) return { $bytes: base64(value) };
    if (value instanceof ArrayBuffer) return { $ArrayBuffer: base64(new Uint8Array(value)) };
    if (value instanceof DataView) {
      return { $DataView: base64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
    }
    if (ArrayBuffer.isView(value)) {
      return { [`$${value.constructor.name}`]: Array.from(value, inner) };
    }
    if (value instanceof Deno.KvU64) return { $u64: `${value.value}` };
    if (value instanceof Date) {
      return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
    }
    if (value instanceof RegExp) return { $regexp: [value.source, value.flags] };
    if (value instanceof Map) {
      return { $map: Array.from(value, ([k, v]) => [inner(k), inner(v)]) };
    }
    if (value instanceof Set) return { $set: Array.from(value, inner) };
    if (value instanceof Error) {
      return { $error: { name: value.name, message: value.message } };
    }
    if (
      value instanceof Boolean || value instanceof Number || value instanceof String ||
      value instanceof BigInt
    ) {
      return { $boxed: inner(value.valueOf()) };
    }
    const names = Object.keys(value);
    const properties = {};
    for (const name of names) {
      Object.defineProperty(properties, name, {
        value: inner(value[name]),
        enumerable: true,
        configurable: true,
      });
    }
    return names.length === 1 && names[0].startsWith("$") ? { $object: properties } : properties;
  }

  function base64(bytes) {
    let binary = "";
    for (const byte of bytes) binary += String.fromCharCode(byte);
    return btoa(binary);
  }

  function line({ key, value, versionstamp }) {
    return JSON.stringify({ key: plain(key), value: plain(value), versionstamp }) + "\n";
  }

  const colors = !Deno.noColor;
  const show = (value) =>
    Deno.inspect(value, { colors, depth: 20, iterableLimit: 1000, strAbbreviateSize: 100_000 });
  const dim = (text) => colors ? `\x1b[2m${text}\x1b[0m` : text;

  /** Prints in pieces of some size; false once nobody reads any more. */
  class Output {
    #waiting = "";

    write(text) {
      this.#waiting += text;
      return this.#waiting.length < 65_536 || this.flush();
    }

    flush() {
      let bytes = encoder.encode(this.#waiting);
      this.#waiting = "";
      try {
        while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
        return true;
      } catch (error) {
        if (error instanceof BrokenPipe) return false;
        throw error;
      }
    }
  }

  const commands = {
    async get(kv, { key: text }, terminal, output) {
      const wanted = key(text);
      const entry = await kv.get(wanted);
      if (entry.versionstamp === null) {
        console.error(`${text} is not set`);
        return { found: false };
      }
      output.write(
        terminal ? `${show(entry.value)}\n${dim(`versionstamp ${entry.versionstamp}`)}\n` : line(entry),
      );
      return { found: true };
    },

    async list(kv, request, terminal, output) {
      const selector = {};
      for (const name of ["prefix", "start", "end"]) {
        if (request[name] != null) selector[name] = key(request[name], name);
      }
      if (!("prefix" in selector) && !("start" in selector && "end" in selector)) {
        selector.prefix = [];
      }
      const { limit, reverse } = request;
      const options = { reverse, limit: limit ?? undefined };
      // On a terminal, what is there is shown at once.
      if (!terminal) options.batchSize = Math.min(limit ?? 1000, 1000);
      for await (const entry of kv.list(selector, options)) {
        const text = terminal ? `${show(entry.key)} ${show(entry.value)}\n` : line(entry);
        if (!output.write(text)) return {};
        if (terminal) output.flush();
      }
      return {};
    },

    async set(kv, { key: text, value, expireIn }, terminal, output) {
      const options = expireIn == null ? undefined : { expireIn };
      const { versionstamp } = await kv.set(key(text), evaluated(value, "value"), options);
      output.write(
        terminal ? dim(`versionstamp ${versionstamp}`) + "\n" : JSON.stringify({ versionstamp }) + "\n",
      );
      return {};
    },

    async delete(kv, { key: text }) {
      const wanted = key(text);
      // Deleting what is not there is no error of the API; whoever types a key wants to know.
      while (true) {
        const entry = await kv.get(wanted);
        if (entry.versionstamp === null) {
          console.error(`${text} is not set`);
          return { found: false };
        }
        const { ok } = await kv.atomic().check(entry).delete(wanted).commit();
        if (ok) return {};
      }
    },
  };

  /** Each takes and returns JSON: `{ error }` says what went wrong. */
  const functions = {};
  for (const [name, command] of Object.entries(commands)) {
    functions[name] = async (argument) => {
      const { path, terminal, request } = JSON.parse(argument);
      let kv;
      try {
        kv = await Deno.openKv(path ?? undefined);
        const output = new Output();
        const answer = await command(kv, request, terminal, output);
        output.flush();
        return JSON.stringify(answer);
      } catch (error) {
        return JSON.stringify({ error: error?.message ?? String(error) });
      } finally {
        kv?.close();
      }
    };
  }
  return functions;
})()
