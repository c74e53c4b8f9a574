// The 99th percentile of a get in microseconds: while nothing else happens, and while another task
// writes as fast as it can, long enough for several checkpoints. The writer has a handle of its own: on the same
// handle, each get would commit the writes before it (program order).
import { fill, someKey, value } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
const writer = await Deno.openKv("kv.sqlite3");
await fill(kv);

async function p99(count) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    await kv.get(someKey(i));
    times.push((performance.now() - started) * 1000);
    // The other task has its turns.
    if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(count * 0.99)];
}

await p99(5_000);
const idle = await p99(20_000);
let stop = false;
let written = 0;
const writers = Array.from({ length: 8 }, async () => {
  while (!stop) {
    const i = written++;
    await writer.set(["written", i], { ...value(i), filling: "x".repeat(1_000) });
  }
});
const busy = await p99(20_000);
stop = true;
await Promise.all(writers);
if (written < 1_000) throw new Error(`only ${written} writes`);
console.log(idle, busy);
kv.close();
writer.close();
