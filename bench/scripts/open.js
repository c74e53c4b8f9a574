import { microseconds, someKey } from "./fill.js";

let kv;
console.log(await microseconds(1, async () => {
  kv = await Deno.openKv("kv.sqlite3");
  await kv.get(someKey(1));
}));
kv.close();
