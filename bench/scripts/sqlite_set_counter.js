// A set as sqlite_set.js has it, and what a file of Deno's needs beside it: the number of the commit, in
// a table of its own, and so a second page in every commit.
import { microseconds, value } from "./fill.js";
import { key, open } from "./sqlite.js";

const database = open();
database.exec("CREATE TABLE data_version (k INTEGER PRIMARY KEY, version INTEGER NOT NULL)");
database.exec("INSERT INTO data_version VALUES (0, 0)");
const begin = database.prepare("BEGIN IMMEDIATE");
const commit = database.prepare("COMMIT");
const last = database.prepare("SELECT version FROM data_version WHERE k = 0");
const count = database.prepare("UPDATE data_version SET version = ? WHERE k = 0");
const insert = database.prepare("INSERT OR REPLACE INTO kv VALUES (?, ?)");
const set = (from, to) => {
  for (let i = from; i < to; i++) {
    begin.run();
    const { version } = last.get();
    insert.run(key(i), JSON.stringify(value(i)));
    count.run(version + 1);
    commit.run();
  }
};
set(0, 100);
console.log(await microseconds(1_000, () => set(100, 1_100)));
database.close();
