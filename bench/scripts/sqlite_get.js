import { KEYS, microseconds } from "./fill.js";
import { fill, key, open } from "./sqlite.js";

const database = open();
fill(database);
const select = database.prepare("SELECT v FROM kv WHERE k = ?");
const get = (count) => {
  for (let i = 0; i < count; i++) JSON.parse(select.get(key((i * 7919) % KEYS)).v);
};
// As get.js has it.
get(10_000);
console.log(await microseconds(40_000, () => get(40_000)));
database.close();
