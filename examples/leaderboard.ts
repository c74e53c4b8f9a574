// Shows a live leaderboard: scores are kept in order by their keys, and everybody who watches sees the top
// change, without asking again and again.

const kv = await Deno.openKv(":memory:");

interface Place {
  player: string;
  points: number;
}

/** Adds points: the score, its place in the order, and the mark that something has changed. */
async function score(player: string, points: number): Promise<void> {
  while (true) {
    const old = await kv.get<number>(["score", player]);
    const total = (old.value ?? 0) + points;
    const operation = kv.atomic()
      .check(old)
      .set(["score", player], total)
      .set(["by_score", total, player], null)
      .sum(["changes"], 1n);
    if (old.value !== null) operation.delete(["by_score", old.value, player]);
    if ((await operation.commit()).ok) return;
  }
}

async function top(count: number): Promise<Place[]> {
  const best = kv.list({ prefix: ["by_score"] }, { reverse: true, limit: count });
  return await Array.fromAsync(best, ({ key }) => ({
    player: String(key[2]),
    points: Number(key[1]),
  }));
}

/** How many changes have been shown. */
let seen = 0n;

/** Shows the top whenever it is another one; ends when somebody has a hundred points. */
async function show(): Promise<void> {
  let shown = "";
  for await (const [changes] of kv.watch<[Deno.KvU64]>([["changes"]])) {
    const places = await top(3);
    const line = places.map(({ player, points }) => `${player} ${points}`).join(", ");
    if (line !== shown) console.log(line || "nobody yet");
    shown = line;
    seen = changes.value?.value ?? 0n;
    if (places.some(({ points }) => points >= 100)) return;
  }
}

// Whoever watches gets the latest state, and not every one. So that this example prints them all, the next
// score waits until the last one was shown.
let scores = 0n;
const shown = show();
for (
  const [player, points] of [
    ["ada", 30],
    ["grace", 50],
    ["alan", 10],
    ["ada", 30],
    ["barbara", 5],
    ["alan", 90],
  ] as const
) {
  await score(player, points);
  scores++;
  while (seen < scores) await new Promise((done) => setTimeout(done, 10));
}
await shown;
kv.close();
