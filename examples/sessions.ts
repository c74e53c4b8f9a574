// Shows a session store: a session is found by its token, ends by itself when it was not used for a while,
// and all sessions of a user can be ended at once.

const kv = await Deno.openKv(":memory:");

/** How long a session lives without being used. Half an hour would be usual. */
const IDLE_MS = 1500;

interface Session {
  user: string;
  since: Date;
}

async function logIn(user: string): Promise<string> {
  const token = crypto.randomUUID();
  await kv.atomic()
    .set(["sessions", token], { user, since: new Date() } satisfies Session, { expireIn: IDLE_MS })
    .set(["sessions_by_user", user, token], null, { expireIn: IDLE_MS })
    .commit();
  return token;
}

/** The session, which then lives on; null if there is none, or none any more. */
async function find(token: string): Promise<Session | null> {
  const entry = await kv.get<Session>(["sessions", token]);
  if (entry.value === null) return null;
  const { ok } = await kv.atomic()
    .check(entry) // it was not ended meanwhile
    .set(entry.key, entry.value, { expireIn: IDLE_MS })
    .set(["sessions_by_user", entry.value.user, token], null, { expireIn: IDLE_MS })
    .commit();
  // Used by two requests at once, or ended: look again.
  return ok ? entry.value : await find(token);
}

async function logOutEverywhere(user: string): Promise<void> {
  const operation = kv.atomic();
  for await (const { key } of kv.list({ prefix: ["sessions_by_user", user] })) {
    operation.delete(key).delete(["sessions", key[2]]);
  }
  await operation.commit();
}

const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));

const laptop = await logIn("ada");
const phone = await logIn("ada");
console.log("laptop:", (await find(laptop))?.user);

await wait(1000);
console.log("laptop, used again:", (await find(laptop))?.user);

await wait(1000);
// The phone was not used for two seconds: its session is over. (Deno takes a while to notice.)
console.log("laptop, used all the time:", (await find(laptop))?.user);

await logOutEverywhere("ada");
console.log("after logging out:", await find(laptop), await find(phone));
kv.close();
