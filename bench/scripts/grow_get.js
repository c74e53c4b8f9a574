// grow_get.js KEYS: keys drawn from all over the file.
import { microseconds } from "./fill.js";

const keys = Number(Deno.args[0]);
const kv = await Deno.openKv("kv.sqlite3");
let state = 1;
const get = async (count) => {
  for (let i = 0; i < count; i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const { value } = await kv.get(["users", state % keys]);
    if (value === null) throw new Error(`${state % keys} is missing`);
  }
};
await get(20_000);
console.log(await microseconds(50_000, () => get(50_000)));
kv.close();
