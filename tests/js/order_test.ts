// Calls on a handle take effect in the order they are made, awaited or not.

import { assertEquals } from "@std/assert";
import { collect, withFolder } from "./helpers.ts";

/** Ways to change a key, each with the value it leaves. */
const WRITES: [string, (kv: Deno.Kv) => Promise<unknown>, unknown][] = [
  ["set", (kv) => kv.set(["k"], "new"), "new"],
  ["delete", (kv) => kv.delete(["k"]), null],
  ["commit", (kv) => kv.atomic().set(["k"], "new").commit(), "new"],
  ["sum", (kv) => kv.atomic().mutate({ type: "sum", key: ["n"], value: new Deno.KvU64(1n) })
    .set(["k"], "new").commit(), "new"],
];

/** Ways to read it. */
const READS: [string, (kv: Deno.Kv) => Promise<unknown>][] = [
  ["get", async (kv) => (await kv.get(["k"])).value],
  ["getMany", async (kv) => (await kv.getMany([["k"], ["other"]]))[0].value],
  ["list", async (kv) => (await collect(kv.list({ prefix: [] }))).find((e) => e.key[0] === "k")?.value ?? null],
  ["list of a thousand", async (kv) =>
    (await collect(kv.list({ prefix: [] }, { batchSize: 1000 }))).find((e) => e.key[0] === "k")?.value ?? null],
  ["watch", async (kv) => {
    const reader = kv.watch([["k"]]).getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return value![0].value;
  }],
];

for (const [write, change, left] of WRITES) {
  for (const [read, find] of READS) {
    Deno.test(
      `${write}, then ${read}, without waiting`,
      withFolder(async (folder) => {
        using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
        for (let i = 0; i < 5; i++) {
          await kv.set(["k"], "old");
          const changed = change(kv);
          const found = await find(kv);
          await changed;
          assertEquals(found, left);
        }
      }),
    );
  }
}

Deno.test(
  "a read does not see what is asked for after it",
  withFolder(async (folder) => {
    using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
    for (const batchSize of [10, 1000]) {
      await kv.set(["k"], 0);
      const reads: Promise<unknown>[] = [];
      const writes: Promise<unknown>[] = [];
      for (let i = 1; i <= 40; i++) {
        const list = kv.list<number>({ prefix: [] }, { batchSize });
        reads.push(list.next().then(({ value }) => value!.value));
        reads.push(kv.get<number>(["k"]).then(({ value }) => value));
        writes.push(kv.set(["k"], i));
        if (i % 3 === 0) writes.push(kv.set(["k"], i));
      }
      const found = await Promise.all(reads);
      await Promise.all(writes);
      assertEquals(found, Array.from({ length: 80 }, (_, i) => Math.floor(i / 2)));
    }
  }),
);

Deno.test(
  "a counter whose writes nobody waits for",
  withFolder(async (folder) => {
    using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
    const writes: Promise<unknown>[] = [];
    for (let i = 0; i < 50; i++) {
      writes.push(kv.set(["hits"], ((await kv.get<number>(["hits"])).value ?? 0) + 1));
    }
    assertEquals((await kv.get(["hits"])).value, 50);
    await Promise.all(writes);
  }),
);

Deno.test(
  "a read behind a write that fails has its own answer",
  withFolder(async (folder) => {
    using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
    await kv.set(["text"], "text");
    const failed = kv.atomic().set(["a"], 1).sum(["text"], 1n).commit().then(() => "ok", (e) => e.name);
    const written = kv.set(["b"], 2);
    const [text, b] = await kv.getMany([["text"], ["b"]]);
    assertEquals([text.value, b.value, await failed], ["text", 2, "TypeError"]);
    await written;
  }),
);
