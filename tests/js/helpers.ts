// What the tests share. No test leaves a file or an open database behind.

/** A server of many databases, `kv serve --dir`, to run the tests on. Default: databases in memory and in files. */
const server = Deno.env.get("KV_TEST_URL");

/** Whether the tests run on databases of a server. */
export const isRemote = server !== undefined;

/** The name of a database that is not there yet. */
export function newName(): string {
  return server === undefined ? ":memory:" : `${server}/test-${crypto.randomUUID()}`;
}

/** Runs a test on an empty database. */
export function withKv(fn: (kv: Deno.Kv) => Promise<void>): () => Promise<void> {
  return async () => {
    const kv = await Deno.openKv(newName());
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
