// crash.js FILE SEED ROUND: commits without end, several at once, and says each that was acknowledged.
//
// A commit `n` sets ["c", n, 0] … ["c", n, k - 1] to n, adds one to ["count"] and enqueues n.
import { Random } from "./random.js";

const [file, seed, round] = Deno.args;
const random = new Random(Number(seed));
const kv = await Deno.openKv(file);
console.log("open");

let next = Number(round) * 1_000_000;

async function commit() {
  while (true) {
    const n = next++;
    const keys = 1 + random.below(5);
    const operation = kv.atomic();
    for (let k = 0; k < keys; k++) {
      operation.set(["c", n, k], { n, keys, filling: "x".repeat(random.below(4_000)) });
    }
    operation.sum(["count"], 1n).enqueue(n);
    const { versionstamp } = await operation.commit();
    console.log(`${n} ${keys} ${versionstamp}`);
    // One after another, or many at once.
    if (random.chance(20)) await new Promise((resolve) => setTimeout(resolve, random.below(4)));
  }
}

await Promise.all(Array.from({ length: 1 + random.below(12) }, commit));
