// Shows a value on a terminal as console.log does, within a second and a screenful or two, whatever it is.
// A value of a few hundred bytes can have 2 ** 40 paths through it.

(() => {
  const { inspect } = Deno;
  const LINES = 200;
  const CHARACTERS = 20_000;
  /** As many nested objects are shown as take about so many characters, indented. */
  const NESTED = 8_000;
  const ITEMS = 200;
  const OPTIONS = { iterableLimit: ITEMS, strAbbreviateSize: 10_000 };

  /** The names of elements that are shown, and of all other properties. */
  function shownNames(value) {
    const names = Object.keys(value);
    if (!Array.isArray(value)) return names;
    const isElement = (name) => /^\d+$/.test(name);
    const elements = names.filter(isElement).slice(0, ITEMS);
    return elements.concat(names.filter((name) => !isElement(name)));
  }

  /** What is shown inside an object. Getters don't run. */
  function partsOf(value) {
    if (ArrayBuffer.isView(value)) return [];
    const parts = [];
    for (const name of shownNames(value)) {
      parts.push(name, Object.getOwnPropertyDescriptor(value, name)?.value);
    }
    if (value instanceof Error) {
      for (const name of ["stack", "cause"]) {
        parts.push(Object.getOwnPropertyDescriptor(value, name)?.value);
      }
    }
    if (value instanceof Map || value instanceof Set) {
      let items = 0;
      for (const [key, item] of value.entries()) {
        parts.push(key, item);
        if (++items === ITEMS) break;
      }
    }
    return parts;
  }

  /** Whether the value takes less than NESTED if it is shown so many levels deep. */
  function fits(value, depth, known) {
    let left = NESTED;
    const subtract = (part, level) => {
      left -= 2 * level + (typeof part === "string" ? part.length : 4);
      if (left < 0 || level > depth || typeof part !== "object" || part === null) return;
      if (!known.has(part)) known.set(part, partsOf(part));
      for (const inner of known.get(part)) {
        subtract(inner, level + 1);
        if (left < 0) return;
      }
    };
    subtract(value, 0);
    return left >= 0;
  }

  /** The number of levels to show, as inspect counts them. */
  function depthThatFits(value, most) {
    const known = new Map();
    let depth = 0;
    try {
      while (depth < most && fits(value, depth + 1, known)) depth++;
    } catch {
      // A proxy's handler has thrown, which inspect does not call.
    }
    return depth;
  }

  return (value, colors, mostLevels) => {
    const depth = depthThatFits(value, mostLevels);
    const whole = inspect(value, { ...OPTIONS, colors, depth });
    const isShort = whole.length <= 4 * CHARACTERS && whole.split("\n").length <= LINES;
    if (isShort) return whole;
    const text = inspect(value, { ...OPTIONS, colors: false, depth });
    const lines = text.split("\n");
    const start = lines.slice(0, LINES).join("\n").slice(0, CHARACTERS);
    if (start.length === text.length) return text;
    const more = lines.length - start.split("\n").length;
    return more > 0 ? `${start}\n… ${more} more lines` : `${start}… ${text.length - start.length} more characters`;
  };
})()
