// Calls that are answered at once still let the event loop turn, so that a loop of calls does not hold up timers.

import { assertEquals } from "@std/assert";
import { collect, withFolder, withKv } from "./helpers.ts";

/** Calls until `done`, but not for ever. */
async function callUntil(done: () => boolean, call: () => Promise<unknown>) {
  const deadline = Date.now() + 20_000;
  while (!done()) {
    await call();
    if (Date.now() > deadline) throw new Error("the event loop did not turn");
  }
}

function timer(): () => boolean {
  let fired = false;
  setTimeout(() => fired = true, 1);
  return () => fired;
}

Deno.test(
  "timers run while a script does nothing but read",
  withKv(async (kv) => {
    for (let i = 0; i < 10; i++) await kv.set(["a", i], i);
    await callUntil(timer(), () => kv.get(["a", 1]));
    await callUntil(timer(), () => kv.getMany([["a", 1], ["a", 2]]));
    await callUntil(timer(), () => collect(kv.list({ prefix: ["a"] })));
  }),
);

Deno.test(
  "timers run while a script does nothing but write in memory",
  withKv(async (kv) => {
    await callUntil(timer(), () => kv.set(["a"], 1));
    await callUntil(timer(), () => kv.atomic().sum(["n"], 1n).commit());
  }),
);

Deno.test(
  "timers run while a script does nothing but write to a file",
  withFolder(async (folder) => {
    using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
    for (let i = 0; i < 3; i++) await kv.set(["a"], i);
    await callUntil(timer(), () => kv.set(["a"], 1));
    await callUntil(timer(), () => kv.atomic().sum(["n"], 1n).commit());
  }),
);

Deno.test(
  "what another task writes to a file is seen by one that polls for it",
  withFolder(async (folder) => {
    using kv = await Deno.openKv(`${folder}/kv.sqlite3`);
    const writer = (async () => {
      for (let i = 1; i <= 3; i++) {
        await kv.set(["steps"], i);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    let seen: number | null = null;
    await callUntil(() => seen === 3, async () => {
      seen = (await kv.get<number>(["steps"])).value;
    });
    assertEquals(seen, 3);
    await writer;
  }),
);
