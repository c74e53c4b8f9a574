// grow_fill.js KEYS
import { fill } from "./fill.js";

const kv = await Deno.openKv("kv.sqlite3");
await fill(kv, Number(Deno.args[0]));
kv.close();
