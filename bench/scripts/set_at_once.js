import { microseconds, value } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
const set = async (from, to) => {
  const all = [];
  for (let i = from; i < to; i++) all.push(kv.set(["users", i], value(i)));
  await Promise.all(all);
};
await set(0, 1_000);
console.log(await microseconds(5_000, async () => {
  for (let i = 1; i <= 5; i++) await set(i * 1_000, (i + 1) * 1_000);
}));
kv.close();
