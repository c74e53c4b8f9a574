import { fill } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
await fill(kv);
kv.close();
