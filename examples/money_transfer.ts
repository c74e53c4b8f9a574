// Shows moving money between accounts: read, decide, and commit only if nobody has changed what was
// read. A transfer that loses the race reads again and retries, so no update is lost.

const kv = await Deno.openKv(":memory:");

async function transfer(from: string, to: string, amount: number): Promise<void> {
  for (let attempt = 1;; attempt++) {
    const [source, target] = await kv.getMany<[number, number]>([
      ["accounts", from],
      ["accounts", to],
    ]);
    const balance = source.value ?? 0;
    if (balance < amount) throw new Error(`${from} has only ${balance}`);
    const result = await kv.atomic()
      .check(source, target)
      .set(source.key, balance - amount)
      .set(target.key, (target.value ?? 0) + amount)
      .commit();
    if (result.ok) return;
    // Somebody was faster. Wait a little, longer each time, and not in step with the others.
    await new Promise((done) => setTimeout(done, Math.random() * attempt * 5));
  }
}

await kv.set(["accounts", "ada"], 100);
await kv.set(["accounts", "grace"], 100);

await Promise.all([
  ...Array.from({ length: 20 }, () => transfer("ada", "grace", 3)),
  ...Array.from({ length: 20 }, () => transfer("grace", "ada", 2)),
]);

let total = 0;
for await (const { key, value } of kv.list<number>({ prefix: ["accounts"] })) {
  console.log(key[1], "has", value);
  total += value;
}
console.log("together", total);
kv.close();
