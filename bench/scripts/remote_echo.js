// The time of a `get` in microseconds: the argument is the URL, and how many are timed.
const [url, calls] = Deno.args;
const count = Number(calls);
const kv = await Deno.openKv(url);
for (let i = 0; i < 200; i++) await kv.get(["ten", 1]);
const started = performance.now();
for (let i = 0; i < count; i++) await kv.get(["ten", 1]);
console.log((performance.now() - started) * 1000 / count);
kv.close();
