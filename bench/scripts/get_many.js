import { fill, microseconds, someKey } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
await fill(kv);
const getMany = async (count) => {
  for (let i = 0; i < count; i++) {
    const keys = [];
    for (let j = 0; j < 10; j++) keys.push(someKey(i * 10 + j));
    await kv.getMany(keys);
  }
};
await getMany(300);
console.log(await microseconds(2_000, () => getMany(2_000)));
kv.close();
