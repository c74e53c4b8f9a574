// Shows the operations of a store: set, get, delete, list, and inside an atomic operation sum, min, max.
//
// Run it twice: what the first run stores, the second one finds. On Deno, run it with
// `deno run -A --unstable-kv`.

const kv = await Deno.openKv();

const visits = await kv.get<Deno.KvU64>(["visits"]);
console.log(
  visits.value === null
    ? "This is the first run. Run me again!"
    : `This script has run ${visits.value} times before.`,
);

// set and get: keys are arrays, values are what JavaScript can clone.
await kv.set(["users", "ada"], { name: "Ada Lovelace", born: new Date("1815-12-10") });
await kv.set(["users", "alan"], { name: "Alan Turing", born: new Date("1912-06-23") });
await kv.set(["users", "grace"], { name: "Grace Hopper", born: new Date("1906-12-09") });

interface User {
  name: string;
  born: Date;
}
const ada = await kv.get<User>(["users", "ada"]);
console.log("get:", ada.value?.name, "born in", ada.value?.born.getUTCFullYear());

// list: all keys with a prefix, in order.
for await (const { key, value } of kv.list<User>({ prefix: ["users"] })) {
  console.log("list:", key.join("/"), "is", value.name);
}

// delete.
await kv.delete(["users", "alan"]);
console.log("after delete:", (await kv.get(["users", "alan"])).value);

// sum, min, max: numbers that many writers can change at once. All of an atomic operation
// happens, or nothing.
const year = BigInt(new Date().getUTCFullYear());
await kv.atomic()
  .sum(["visits"], 1n)
  .min(["years", "first"], year)
  .max(["years", "last"], year)
  .commit();
const [count, first] = await kv.getMany<[Deno.KvU64, Deno.KvU64]>([
  ["visits"],
  ["years", "first"],
]);
console.log(`sum: ${count.value} visits, min: since ${first.value}`);

kv.close();
