import { microseconds, value } from "./fill.js";

const kv = await Deno.openKv(":memory:");
const set = async (from, to) => {
  for (let i = from; i < to; i++) await kv.set(["users", i], value(i));
};
await set(0, 1_000);
console.log(await microseconds(10_000, () => set(1_000, 11_000)));
kv.close();
