// Shows a rate limiter: at most so many requests of a client in a window of time, counted exactly however
// many requests, and processes, come at once. Old windows expire by themselves.

const kv = await Deno.openKv(":memory:");

const LIMIT = 3;
const WINDOW_MS = 60_000;

/** Whether the client may go on; counts the request if so. */
async function allow(client: string, now: number): Promise<boolean> {
  const window = Math.floor(now / WINDOW_MS);
  const key = ["requests", client, window];
  while (true) {
    const entry = await kv.get<number>(key);
    const count = entry.value ?? 0;
    if (count >= LIMIT) return false;
    const { ok } = await kv.atomic()
      .check(entry)
      // Nobody asks for this window once the next one is over.
      .set(key, count + 1, { expireIn: 2 * WINDOW_MS })
      .commit();
    if (ok) return true;
    // Another request of the same client was counted meanwhile: look again.
  }
}

const now = Date.now();
const atOnce = await Promise.all(Array.from({ length: 10 }, () => allow("ada", now)));
console.log("ten at once:", atOnce.filter((ok) => ok).length, "allowed");
console.log("one more:", await allow("ada", now) ? "allowed" : "refused");
console.log("another client:", await allow("grace", now) ? "allowed" : "refused");
console.log("the next window:", await allow("ada", now + WINDOW_MS) ? "allowed" : "refused");
kv.close();
