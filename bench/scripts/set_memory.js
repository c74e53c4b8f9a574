const kv = await Deno.openKv(":memory:");
const count = 5000;
for (let i = 0; i < 500; i++) await kv.set(["warm", i], i);
const started = performance.now();
for (let i = 0; i < count; i++) await kv.set(["users", i], { id: i, name: `user ${i}` });
console.log((performance.now() - started) / count * 1000);
kv.close();
