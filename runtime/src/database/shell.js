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

  /** Levels of a value that are printed in JSON: what reads it has a limit of its own, often 128. */
  const LEVELS = 100;
  /** Characters that objects may take which a value holds more than once. */
  const REPEATED = 65_536;
  /** Holes that are printed one by one, in an array that has fewer elements than holes. */
  const HOLES = 16;

  /** JSON for any value: an object with one name, which begins with $, is what JSON has no form for. */
  function jsonOf(value) {
    const above = new Set();
    const printed = new Map();
    let room = REPEATED;

    function json(value) {
      switch (typeof value) {
        case "bigint":
          return `{"$bigint":"${value}"}`;
        case "undefined":
          return `{"$undefined":true}`;
        case "number":
          if (Number.isFinite(value) && !Object.is(value, -0)) return `${value}`;
          return `{"$number":"${Object.is(value, -0) ? "-0" : value}"}`;
        case "object":
          break;
        default:
          return JSON.stringify(value);
      }
      if (value === null) return "null";
      if (above.has(value)) return `{"$circular":true}`;
      const before = printed.get(value);
      if (before !== undefined) {
        // Where a cycle was cut depends on where the object was met first.
        if (before.length > room || before.includes(`"$circular"`)) return `{"$repeated":true}`;
        room -= before.length;
        return before;
      }
      if (above.size === LEVELS) return `{"$deep":true}`;
      above.add(value);
      const text = ofObject(value, json);
      above.delete(value);
      printed.set(value, text);
      return text;
    }

    return json(value);
  }

  const array = (parts) => `[${parts.join(",")}]`;
  const string = (text) => JSON.stringify(text);

  function ofObject(value, json) {
    if (Array.isArray(value)) return ofArray(value, json);
    if (value instanceof Uint8Array) return `{"$bytes":"${base64(value)}"}`;
    if (value instanceof ArrayBuffer) return `{"$ArrayBuffer":"${base64(new Uint8Array(value))}"}`;
    if (value instanceof DataView) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      return `{"$DataView":"${base64(bytes)}"}`;
    }
    if (ArrayBuffer.isView(value)) {
      return `{"$${value.constructor.name}":${array(Array.from(value, json))}}`;
    }
    if (value instanceof Deno.KvU64) return `{"$u64":"${value.value}"}`;
    if (value instanceof Date) {
      return `{"$date":${Number.isNaN(value.getTime()) ? null : string(value.toISOString())}}`;
    }
    if (value instanceof RegExp) {
      return `{"$regexp":[${string(value.source)},${string(value.flags)}]}`;
    }
    if (value instanceof Map) {
      return `{"$map":${array(Array.from(value, ([k, v]) => array([json(k), json(v)])))}}`;
    }
    if (value instanceof Set) return `{"$set":${array(Array.from(value, json))}}`;
    if (value instanceof Error) {
      return `{"$error":{"name":${string(`${value.name}`)},"message":${string(`${value.message}`)}}}`;
    }
    if (
      value instanceof Boolean || value instanceof Number || value instanceof String ||
      value instanceof BigInt
    ) {
      return `{"$boxed":${json(value.valueOf())}}`;
    }
    const names = Object.keys(value);
    const properties = `{${names.map((name) => `${string(name)}:${json(value[name])}`).join(",")}}`;
    return names.length === 1 && names[0].startsWith("$") ? `{"$object":${properties}}` : properties;
  }

  function ofArray(value, json) {
    const { length } = value;
    const indexes = Object.keys(value).filter((name) => /^\d+$/.test(name));
    const holes = length - indexes.length;
    if (holes > HOLES && holes > indexes.length) {
      const elements = array(indexes.map((index) => `[${index},${json(value[index])}]`));
      return `{"$sparse":{"length":${length},"elements":${elements}}}`;
    }
    const elements = [];
    // A hole is read as undefined, as JavaScript reads it.
    for (let i = 0; i < length; i++) elements.push(json(value[i]));
    return array(elements);
  }

  function base64(bytes) {
    let binary = "";
    for (const byte of bytes) binary += String.fromCharCode(byte);
    return btoa(binary);
  }

  function line({ key, value, versionstamp }) {
    return `{"key":${jsonOf(key)},"value":${jsonOf(value)},"versionstamp":${string(versionstamp)}}\n`;
  }

  const colors = !Deno.noColor;
  const show = (value) => screenful(value, colors, 20);
  const dim = (text) => colors ? `\x1b[2m${text}\x1b[0m` : text;

  /** Where a list is; undefined before its first entry. */
  function cursorOf(entries) {
    try {
      return entries.cursor;
    } catch {
      return undefined;
    }
  }

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
        return { failed: true };
      }
      output.write(
        terminal ? `${show(entry.value)}\n${dim(`versionstamp ${entry.versionstamp}`)}\n` : line(entry),
      );
      return {};
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
      const entries = kv.list(selector, options);
      let failed = false;
      while (true) {
        const before = cursorOf(entries);
        let next;
        try {
          next = await entries.next();
        } catch (error) {
          // The list goes on after an entry that can't be read, and nowhere after any other error.
          if (cursorOf(entries) === before) throw error;
          output.flush();
          console.error(`error: ${error.message}`);
          failed = true;
          continue;
        }
        if (next.done) return { failed };
        const entry = next.value;
        const text = terminal ? `${show(entry.key)} ${show(entry.value)}\n` : line(entry);
        if (!output.write(text)) return { failed };
        if (terminal) output.flush();
      }
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
      // The API deletes missing keys without an error; a person who types one wants to know. The value
      // is not read, since it may be unreadable.
      const { ok: isMissing } = await kv.atomic().check({ key: wanted, versionstamp: null }).commit();
      if (isMissing) {
        console.error(`${text} is not set`);
        return { failed: true };
      }
      await kv.delete(wanted);
      return {};
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
