import { fill, KEYS, microseconds } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
await fill(kv);
const list = async () => {
  let seen = 0;
  for await (const _ of kv.list({ prefix: ["users"] }, { batchSize: 1000 })) seen++;
  if (seen !== KEYS) throw new Error(`${seen} entries`);
};
await list();
console.log(await microseconds(KEYS * 3, async () => {
  for (let i = 0; i < 3; i++) await list();
}));
kv.close();
