// Messages through a file database: from the first enqueue to the end of the last handler.
import { microseconds, value } from "./fill.js";

const MESSAGES = 5_000;

const kv = await Deno.openKv("kv.sqlite3");
const seen = new Set();
let ended;
const all = new Promise((resolve) => ended = resolve);
const listening = kv.listenQueue(async ({ id }) => {
  await Promise.resolve();
  seen.add(id);
  if (seen.size === MESSAGES) ended();
});
console.log(await microseconds(MESSAGES, async () => {
  const enqueued = [];
  for (let i = 0; i < MESSAGES; i++) enqueued.push(kv.enqueue(value(i)));
  await Promise.all(enqueued);
  await all;
}));
kv.close();
await listening;
