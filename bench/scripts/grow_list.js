// grow_list.js KEYS: megabytes of memory early in the list, and at the most later on.
// The page cache is full by then, and the garbage collector has found its pace.
const early = 1_000_000;

const kv = await Deno.openKv("kv.sqlite3");
const memory = () => Deno.memoryUsage().rss / 1e6;
let seen = 0;
let before = 0;
let most = 0;
for await (const _ of kv.list({ prefix: ["users"] })) {
  seen++;
  if (seen % 10_000 !== 0) continue;
  if (seen <= early) before = Math.max(before, memory());
  else most = Math.max(most, memory());
}
if (seen !== Number(Deno.args[0])) throw new Error(`${seen} entries`);
console.log(before, most);
kv.close();
