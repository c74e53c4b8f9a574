const kv = await Deno.openKv("kv.sqlite3");
await kv.set(["a"], 1);
console.log(Deno.memoryUsage().rss / 1e6);
kv.close();
