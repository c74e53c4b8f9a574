import { KEYS, microseconds } from "./fill.js";
import { fill, open } from "./sqlite.js";

const database = open();
fill(database);
const select = database.prepare("SELECT k, v FROM kv ORDER BY k");
const list = () => {
  let seen = 0;
  for (const { v } of select.all()) {
    JSON.parse(v);
    seen++;
  }
  if (seen !== KEYS) throw new Error(`${seen} entries`);
};
list();
console.log(await microseconds(KEYS * 3, () => {
  for (let i = 0; i < 3; i++) list();
}));
database.close();
