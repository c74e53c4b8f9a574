// Megabytes of memory while handlers are at work on a queue in which a million messages wait: at the most
// for the first 100,000 of them (page caches are full by then), and for the next 200,000.
const MESSAGES = 1_000_000;

const kv = await Deno.openKv("kv.sqlite3");
const memory = () => Deno.memoryUsage().rss / 1e6;
for (let i = 0; i < MESSAGES; i += 1_000) {
  const operation = kv.atomic();
  for (let j = i; j < i + 1_000; j++) operation.enqueue({ id: j });
  await operation.commit();
}
let early = 0;
let late = 0;
let seen = 0;
const listening = kv.listenQueue(async () => {
  await new Promise((resolve) => setTimeout(resolve, 1));
  if (++seen % 1_000 === 0) {
    if (seen <= 100_000) early = Math.max(early, memory());
    else late = Math.max(late, memory());
  }
  if (seen === 300_000) kv.close();
});
await listening;
console.log(early, late);
