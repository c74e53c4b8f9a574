const kv = await Deno.openKv("kv.sqlite3");
const keys = 2000;
for (let i = 0; i < keys; i += 500) {
  const operation = kv.atomic();
  for (let j = i; j < i + 500; j++) operation.set(["users", j], { id: j, name: `user ${j}`, tags: ["a", "b"] });
  await operation.commit();
}
const count = 5000;
for (let i = 0; i < 500; i++) await kv.get(["users", i]);
const started = performance.now();
for (let i = 0; i < count; i++) await kv.get(["users", (i * 7919) % keys]);
console.log((performance.now() - started) / count * 1000);
kv.close();
