// grow_get.js KEYS: keys drawn from all over the file.
import { microseconds } from "./fill.js";

const keys = Number(Deno.args[0]);
const kv = await Deno.openKv("kv.sqlite3");
let state = 1;
const get = async (count) => {
  for (let i = 0; i < count; i++) {
    // Marsaglia's xorshift: its period is 2^32 - 1.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const key = (state >>> 0) % keys;
    const { value } = await kv.get(["users", key]);
    if (value === null) throw new Error(`${key} is missing`);
  }
};
await get(20_000);
console.log(await microseconds(50_000, () => get(50_000)));
kv.close();
