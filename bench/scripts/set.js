import { microseconds, value } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
const set = async (from, to) => {
  for (let i = from; i < to; i++) await kv.set(["users", i], value(i));
};
await set(0, 100);
console.log(await microseconds(1_000, () => set(100, 1_100)));
kv.close();
