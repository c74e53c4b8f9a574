// What the tests share. No test leaves a file or an open database behind.

/** Runs a test on a database in memory. */
export function withKv(fn: (kv: Deno.Kv) => Promise<void>): () => Promise<void> {
  return async () => {
    const kv = await Deno.openKv(":memory:");
    try {
      await fn(kv);
    } finally {
      kv[Symbol.dispose]();
    }
  };
}

/** Runs a test in a folder of its own. */
export function withFolder(fn: (folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = await Deno.makeTempDir({ prefix: "kv-test-" });
    try {
      await fn(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  };
}

/** Reads a list to its end. */
export async function collect<T>(list: AsyncIterable<T>): Promise<T[]> {
  const entries: T[] = [];
  for await (const entry of list) entries.push(entry);
  return entries;
}

/** The keys of a list, each joined by slashes. */
export async function keys(list: AsyncIterable<Deno.KvEntry<unknown>>): Promise<string> {
  return (await collect(list)).map((entry) => entry.key.map(String).join("/")).join(" ");
}

// deno-lint-ignore no-explicit-any
export type Any = any;
