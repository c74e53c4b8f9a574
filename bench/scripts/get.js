import { fill, microseconds, someKey } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
await fill(kv);
const get = async (count) => {
  for (let i = 0; i < count; i++) await kv.get(someKey(i));
};
await get(2_000);
console.log(await microseconds(10_000, () => get(10_000)));
kv.close();
