// Writes, reads and computes for so many milliseconds while another process holds the write lock, and then
// goes on until a write succeeds. Prints what it has seen, in JSON.

const [file, milliseconds] = Deno.args;
const kv = await Deno.openKv(file);
// A handle's reads wait for the writes asked of it before them: what readers do meanwhile is asked of another.
const reader = await Deno.openKv(file);
await kv.set(["ready"], true);
console.log("ready");

const input = Deno.stdin.readable.getReader();
await input.read();

// Turns of the event loop: a call that holds the thread up is seen here.
let last = performance.now();
let longestPause = 0;
const ticker = setInterval(() => {
  const now = performance.now();
  longestPause = Math.max(longestPause, now - last);
  last = now;
}, 10);

const report = { rejected: [], messages: {}, reads: 0, acknowledged: [], longestPause: 0 };
const locked = performance.now();
let count = 0;
while (true) {
  const started = performance.now();
  const isOver = started - locked > Number(milliseconds) + 15_000;
  if (isOver) throw new Error("the lock is gone, and writes still fail");
  const value = count++;
  const outcome = kv.set(["value", value], value).then(() => undefined, (error) => error);
  for (let i = 0; i < 100; i++) {
    if ((await reader.get(["ready"])).value !== true) throw new Error("a read went wrong");
    report.reads++;
  }
  const error = await outcome;
  if (error === undefined) {
    report.acknowledged.push(value);
    break;
  }
  report.rejected.push(Math.round(performance.now() - started));
  report.messages[error.message] = true;
}
clearInterval(ticker);
report.longestPause = Math.round(longestPause);
report.stored = [];
for await (const { value } of kv.list({ prefix: ["value"] })) report.stored.push(value);
report.messages = Object.keys(report.messages);
console.log(JSON.stringify(report));
kv.close();
reader.close();
Deno.exit();
