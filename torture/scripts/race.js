// race.js FILE SEED TASKS ROUNDS PROCESS: tasks that fight over the same keys, and what each has seen and done, a line of
// JSON an operation: [begin, end, [[key, versionstamp]…] it has read, versionstamp it has committed or null,
// [[key, versionstamp]…] it has checked, [key…] it has written]. Times are microseconds.
//
// Counters are counted with get and check; money moves between accounts; a name is taken by who sets it
// first; lists read all accounts, whose sum never changes.
import { Random } from "./random.js";

const [file, seed, tasks, rounds, process] = Deno.args;
const ACCOUNTS = 8;
const COUNTERS = 3;
const NAMES = 40;
const START = 100;

const kv = await Deno.openKv(file);
const lines = [];

// What lies between performance.now() and the clock that all processes share: each look at both says between
// what, and a look at a tick says it to some microseconds. (`performance.timeOrigin` is read from one clock
// after the other, and the process may be held up for a millisecond between them.) What began is said to have
// begun no later than it did, and what ended to have ended no earlier.
let [least, most] = [-Infinity, Infinity];
for (const until = performance.now() + 100; most - least > 0.02 && performance.now() < until;) {
  const before = performance.now();
  const milliseconds = Date.now();
  const after = performance.now();
  least = Math.max(least, milliseconds - after);
  most = Math.min(most, milliseconds + 1 - before);
}
const began = () => Math.floor((least + performance.now()) * 1000);
const ended = () => Math.ceil((most + performance.now()) * 1000);
const name = (key) => key.join("/");

function log(begin, reads, versionstamp, checks, writes) {
  lines.push(JSON.stringify([begin, ended(), reads, versionstamp, checks, writes]));
}

const seen = (entries) => entries.map((entry) => [name(entry.key), entry.versionstamp]);

async function read(keys) {
  const begin = began();
  const entries = await kv.getMany(keys);
  log(begin, seen(entries), null, [], []);
  return entries;
}

/** Commits changes if nobody has changed `entries`; whether it has. */
async function commit(entries, changes) {
  const begin = began();
  const operation = kv.atomic();
  for (const entry of entries) operation.check(entry);
  for (const [key, value] of changes) operation.set(key, value);
  const result = await operation.commit();
  if (result.ok) {
    log(begin, [], result.versionstamp, seen(entries), changes.map(([key]) => name(key)));
  }
  return result.ok;
}

let counted = 0;
let taken = 0;

async function count(random) {
  const key = ["counter", random.below(COUNTERS)];
  while (true) {
    const [entry] = await read([key]);
    if (await commit([entry], [[key, (entry.value ?? 0) + 1]])) break;
  }
  counted++;
}

async function transfer(random) {
  const from = ["account", random.below(ACCOUNTS)];
  const to = ["account", random.below(ACCOUNTS)];
  if (from[1] === to[1]) return;
  while (true) {
    const entries = await read([from, to]);
    const amount = 1 + random.below(10);
    const changes = [
      [from, (entries[0].value ?? START) - amount],
      [to, (entries[1].value ?? START) + amount],
    ];
    if (await commit(entries, changes)) break;
  }
}

async function take(random) {
  const key = ["name", random.below(NAMES)];
  if (await commit([{ key, versionstamp: null }], [[key, process]])) taken++;
}

async function look() {
  const begin = began();
  const entries = [];
  const list = kv.list({ prefix: ["account"] }, { batchSize: 100 });
  for await (const entry of list) entries.push(entry);
  log(begin, seen(entries), null, [], []);
  let sum = (ACCOUNTS - entries.length) * START;
  for (const { value } of entries) sum += value;
  if (sum !== ACCOUNTS * START) throw new Error(`a torn snapshot: ${sum}`);
}

async function task(number) {
  const random = new Random(Number(seed) * 1_000 + number);
  for (let i = 0; i < Number(rounds); i++) {
    await random.pick([count, count, transfer, transfer, take, look])(random);
    // Others in this process have their turn.
    if (random.chance(30)) await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

await Promise.all(Array.from({ length: Number(tasks) }, (_, number) => task(number)));
console.log(lines.join("\n"));
console.log(`done ${counted} ${taken}`);
kv.close();
