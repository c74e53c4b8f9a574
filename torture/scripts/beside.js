// beside.js FILE ID MILLISECONDS: commits for so long beside other programs that write the same file, and says each
// commit that was acknowledged, and each that was rejected.
//
// A commit `n` sets ["w", ID, n] to n and adds one to ["total"].

const [file, id, milliseconds] = Deno.args;
const kv = await Deno.openKv(file);
const end = performance.now() + Number(milliseconds);
let n = 0;

async function commit() {
  while (performance.now() < end) {
    const mine = n++;
    const operation = kv.atomic().set(["w", id, mine], mine, { expireIn: 3_600_000 }).sum(["total"], 1n);
    try {
      const { versionstamp } = await operation.commit();
      console.log(`acknowledged ${mine} ${versionstamp}`);
    } catch (error) {
      console.log(`rejected ${mine} ${error.message}`);
      continue;
    }
    const { value } = await kv.get(["w", id, mine]);
    if (value !== mine) console.log(`lost ${mine}`);
    if (mine % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

await Promise.all([commit(), commit(), commit()]);
kv.close();
console.log("end");
