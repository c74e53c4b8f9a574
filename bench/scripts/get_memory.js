import { fill, microseconds, someKey } from "./fill.js";

const kv = await Deno.openKv(":memory:");
await fill(kv);
const get = async (count) => {
  for (let i = 0; i < count; i++) await kv.get(someKey(i));
};
// Until the compilers are through, and the disk with what was filled in.
await get(10_000);
console.log(await microseconds(40_000, () => get(40_000)));
kv.close();
