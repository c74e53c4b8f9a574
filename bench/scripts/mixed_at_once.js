import { microseconds, value } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
/** Each read is asked for right after the write that it must see. */
const mixed = async (from, to) => {
  const all = [];
  for (let i = from; i < to; i++) {
    all.push(kv.set(["users", i], value(i)), kv.get(["users", i]));
  }
  const answers = await Promise.all(all);
  for (let i = 0; i < to - from; i++) {
    const { versionstamp } = answers[2 * i];
    if (answers[2 * i + 1].versionstamp !== versionstamp) throw new Error("a read misses the write before it");
  }
};
await mixed(0, 500);
console.log(await microseconds(5_000, async () => {
  for (let i = 1; i <= 5; i++) await mixed(i * 500, (i + 1) * 500);
}));
kv.close();
