// The reader in the same thread that get and list are measured against: node:sqlite with JSON, at
// the same durability.
import { DatabaseSync } from "node:sqlite";
import { KEYS, value } from "./fill.js";

export function open() {
  const database = new DatabaseSync("node.sqlite3");
  database.exec("PRAGMA journal_mode = wal; PRAGMA synchronous = full");
  database.exec("CREATE TABLE kv (k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID");
  return database;
}

export function fill(database) {
  const insert = database.prepare("INSERT INTO kv VALUES (?, ?)");
  database.exec("BEGIN");
  for (let i = 0; i < KEYS; i++) insert.run(key(i), JSON.stringify(value(i)));
  database.exec("COMMIT");
}

export const key = (i) => JSON.stringify(["users", i]);
