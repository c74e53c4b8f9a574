// Microseconds for a set of a key that nobody watches: alone, and beside 10,000 watchers of others.
import { microseconds, value } from "./fill.js";

const WATCHERS = 10_000;

const kv = await Deno.openKv(":memory:");
const set = async (count) => {
  for (let i = 0; i < count; i++) await kv.set(["users", i % 1_000], value(i));
};
await set(20_000);
const alone = await microseconds(20_000, () => set(20_000));
const readers = [];
for (let i = 0; i < WATCHERS; i++) {
  const reader = kv.watch([["watched", i]]).getReader();
  await reader.read();
  // One more read each, which waits.
  reader.read();
  readers.push(reader);
}
await set(20_000);
console.log(alone, await microseconds(20_000, () => set(20_000)));
await Promise.all(readers.map((reader) => reader.cancel()));
kv.close();
