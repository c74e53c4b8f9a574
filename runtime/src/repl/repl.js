// The prompt's half in JavaScript: opens the database, evaluates what was typed, shows values, and knows
// what may follow a dot. Its value is an object of functions of one string.

(() => {
  const { mainModule, openKv } = Deno;
  const { log, error: logError } = console;
  let database;

  /** As console.log shows it; stacks are without the frames of this file, and of the input's own code. */
  function shown(value, colors) {
    const lines = [];
    for (const line of screenful(value, colors, 6).split("\n")) {
      const frame = /^\s+at (?:async )?(.*)$/.exec(line)?.[1] ?? "";
      const name = /^([^ (]+) \(/.exec(frame)?.[1];
      // What was typed has the name of this file, on V8 with what has evaluated it.
      const isTyped = frame.includes("eval at evaluate") || frame.includes(mainModule);
      if (name === "eval" || (isTyped && (name === undefined || name === "evaluate"))) continue;
      if (!isTyped) {
        lines.push(line);
        continue;
      }
      const [place] = /\d+:\d+(?=\)$)/.exec(frame) ?? [""];
      lines.push(`    at ${name} (<anonymous>:${place})`);
    }
    return lines.join("\n");
  }

  /** The value of a property, but for one that a getter would have to compute. */
  function own(value, name) {
    for (let at = value; at !== null && at !== undefined; at = Object.getPrototypeOf(at)) {
      const descriptor = Object.getOwnPropertyDescriptor(at, name);
      if (descriptor !== undefined) return descriptor.value;
    }
    return undefined;
  }

  return {
    /** Opens the database at a path, in JSON: it is `kv`. Returns what is wrong with it, if anything. */
    async open(path) {
      try {
        database = await openKv(JSON.parse(path) ?? undefined);
      } catch (error) {
        return error.message;
      }
      globalThis.kv = database;
      return "";
    },

    close() {
      // A person may have closed it.
      database[Symbol.dispose]();
      return "";
    },

    /** Evaluates a script; "true" if nothing was thrown. */
    async evaluate(argument) {
      const { script, colors } = JSON.parse(argument);
      let result;
      try {
        result = await (0, eval)(script);
      } catch (error) {
        globalThis._error = error;
        logError(`Uncaught ${shown(error, colors)}`);
        return "false";
      }
      if (result !== undefined) globalThis._ = result.value;
      log(shown(result?.value, colors));
      return "true";
    },

    /** Names that may stand after a chain of names with dots between, in JSON. */
    names(path) {
      let value = globalThis;
      for (const name of path === "" ? [] : path.split(".")) value = own(value, name);
      const found = new Set();
      for (let at = value; at !== null && at !== undefined; at = Object.getPrototypeOf(at)) {
        for (const name of Object.getOwnPropertyNames(Object(at))) found.add(name);
      }
      return JSON.stringify([...found]);
    },
  };
})()
