import { microseconds, value } from "./fill.js";
import { key, open } from "./sqlite.js";

const database = open();
const insert = database.prepare("INSERT OR REPLACE INTO kv VALUES (?, ?)");
const set = (from, to) => {
  for (let i = from; i < to; i++) insert.run(key(i), JSON.stringify(value(i)));
};
set(0, 100);
console.log(await microseconds(1_000, () => set(100, 1_100)));
database.close();
