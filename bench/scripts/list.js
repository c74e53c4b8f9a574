const kv = await Deno.openKv("kv.sqlite3");
const keys = 5000;
for (let i = 0; i < keys; i += 500) {
  const operation = kv.atomic();
  for (let j = i; j < i + 500; j++) operation.set(["users", j], { id: j, name: `user ${j}` });
  await operation.commit();
}
let seen = 0;
const started = performance.now();
for await (const _ of kv.list({ prefix: ["users"] })) seen++;
console.log((performance.now() - started) / seen * 1000);
kv.close();
