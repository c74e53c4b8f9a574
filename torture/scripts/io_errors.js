// io_errors.js FILE: opens a database twice, commits, reads and closes, while one of the calls to the system
// fails. Says each commit that was acknowledged, as crash.js does.
//
// A commit `n` sets ["c", n, 0] … ["c", n, k - 1] to n, adds one to ["count"] and enqueues n.

const [file] = Deno.args;
const acknowledged = [];
let next = 0;

async function commit(kv) {
  const n = next++;
  const keys = 1 + n % 3;
  const operation = kv.atomic();
  for (let k = 0; k < keys; k++) operation.set(["c", n, k], { n, keys, filling: "x".repeat(9_000) });
  const { versionstamp } = await operation.sum(["count"], 1n).enqueue(n).commit();
  acknowledged.push(n);
  console.log(`${n} ${keys} ${versionstamp}`);
}

/** What was acknowledged can be read, where reading works. */
async function look(kv) {
  for (const n of acknowledged) {
    const { value } = await kv.get(["c", n, 0]);
    if (value === null) console.log(`lost ${n}`);
  }
  const listed = new Set();
  for await (const { key } of kv.list({ prefix: ["c"] })) listed.add(key[1]);
  for (const n of acknowledged) if (!listed.has(n)) console.log(`not listed ${n}`);
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Error) || error.message === "") console.log("odd error");
  }
}

for (let round = 0; round < 2; round++) {
  await attempt(async () => {
    using kv = await Deno.openKv(file);
    for (let i = 0; i < 3; i++) await attempt(() => commit(kv));
    await attempt(() => look(kv));
    await Promise.all([attempt(() => commit(kv)), attempt(() => commit(kv)), attempt(() => look(kv))]);
    await attempt(() => look(kv));
  });
}
console.log("end");
