import { microseconds, value } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
const commit = async (from, to) => {
  const all = [];
  for (let i = from; i < to; i++) {
    const operation = kv.atomic().check({ key: ["users", i, 0], versionstamp: null });
    for (let j = 0; j < 10; j++) operation.set(["users", i, j], value(j));
    all.push(operation.commit());
  }
  const results = await Promise.all(all);
  if (!results.every((result) => result.ok)) throw new Error("a check failed");
};
await commit(0, 100);
console.log(await microseconds(500, async () => {
  for (let i = 1; i <= 5; i++) await commit(i * 100, (i + 1) * 100);
}));
kv.close();
