// How long a message takes from enqueue to its handler while nothing else happens: the median.
const kv = await Deno.openKv(":memory:");
let arrived;
const listening = kv.listenQueue(() => arrived(performance.now()));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const times = [];
for (let i = 0; i < 40; i++) {
  await pause(10);
  const arrival = new Promise((resolve) => arrived = resolve);
  const started = performance.now();
  await kv.enqueue(i);
  times.push((await arrival - started) * 1000);
}
times.sort((a, b) => a - b);
console.log(times[times.length / 2]);
kv.close();
await listening;
