// Calls on a remote database, one after another, on kv, Deno and Node: microseconds each, in the order of bench/src/remote.
// The argument is the URL, and how many calls of a kind are timed.
const on_node = globalThis.Deno === undefined;
const { openKv } = on_node ? await import("@deno/kv") : Deno;
const [url, calls] = on_node ? process.argv.slice(2) : Deno.args;
const count = Number(calls);
const kv = await openKv(url);

async function time(fn) {
  for (let i = 0; i < Math.min(count, 20); i++) await fn(i);
  const started = performance.now();
  for (let i = 0; i < count; i++) await fn(i);
  return (performance.now() - started) * 1000 / count;
}

const ten = Array.from({ length: 10 }, (_, i) => ["ten", i]);
let fill = kv.atomic();
for (let i = 0; i < 500; i++) fill = fill.set(["list", i], "x".repeat(50));
await fill.commit();
for (const key of ten) await kv.set(key, 1);
const figures = [];
figures.push(await time(() => kv.get(["ten", 1])));
figures.push(await time(() => kv.getMany(ten)));
figures.push(await time(async () => {
  let entries = 0;
  for await (const _ of kv.list({ prefix: ["list"] }, { batchSize: 500 })) entries++;
  if (entries !== 500) throw new Error(`${entries} entries`);
}));
figures.push(await time((i) => kv.set(["set", i], i)));
figures.push(await time((i) => {
  let atomic = kv.atomic();
  for (let k = 0; k < 10; k++) atomic = atomic.set(["atomic", k], i);
  return atomic.commit();
}));

// From the call of set to the watcher's value.
await kv.set(["watched"], 0);
const reader = kv.watch([["watched"]]).getReader();
await reader.read();
const latencies = [];
for (let i = 1; i <= 40; i++) {
  const started = performance.now();
  const seen = (async () => {
    for (;;) {
      const { value } = await reader.read();
      if (value[0].value === i) return performance.now() - started;
    }
  })();
  await kv.set(["watched"], i);
  latencies.push((await seen) * 1000);
}
latencies.sort((a, b) => a - b);
figures.push(latencies[20]);
await reader.cancel();
console.log(figures.join(" "));
kv.close();
