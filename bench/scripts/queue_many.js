// Megabytes of memory: when a million messages wait, and at the most while handlers are at work on them.
const MESSAGES = 1_000_000;

const kv = await Deno.openKv("kv.sqlite3");
const memory = () => Deno.memoryUsage().rss / 1e6;
for (let i = 0; i < MESSAGES; i += 1_000) {
  const operation = kv.atomic();
  for (let j = i; j < i + 1_000; j++) operation.enqueue({ id: j });
  await operation.commit();
}
const waiting = memory();
let most = 0;
let seen = 0;
const listening = kv.listenQueue(async () => {
  await new Promise((resolve) => setTimeout(resolve, 1));
  if (++seen % 1_000 === 0) most = Math.max(most, memory());
  if (seen === 50_000) kv.close();
});
await listening;
console.log(waiting, most);
