// Shows a list page by page: the cursor of one page is all that the next one needs, so it can travel
// through a URL.

const kv = await Deno.openKv(":memory:");

for (let i = 1; i <= 25; i++) {
  await kv.set(["posts", i], `Post ${i}`);
}

async function page(cursor: string | undefined, reverse = false) {
  const list = kv.list<string>({ prefix: ["posts"] }, { limit: 10, cursor, reverse });
  const posts: string[] = [];
  for await (const entry of list) posts.push(entry.value);
  // After the last entry the cursor is empty.
  const more = posts.length === 10;
  return { posts, next: more ? list.cursor : undefined };
}

let cursor: string | undefined;
do {
  const { posts, next } = await page(cursor);
  console.log(posts.join(", "));
  cursor = next;
} while (cursor !== undefined);

const newest = await page(undefined, true);
console.log("newest first:", newest.posts.slice(0, 3).join(", "));
kv.close();
