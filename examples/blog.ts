// Shows a blog with secondary indexes: posts are found by id, by day, by author and by tag, and a post, its
// indexes and the counters of its tags always agree, because they are written together.

const kv = await Deno.openKv(":memory:");

interface Post {
  id: string;
  day: string;
  author: string;
  title: string;
  tags: string[];
}

/** All keys under which a post is found, besides its id. */
function indexes({ id, day, author, tags }: Post): Deno.KvKey[] {
  return [
    ["posts_by_day", day, id],
    ["posts_by_author", author, day, id],
    ...tags.map((tag) => ["posts_by_tag", tag, day, id]),
  ];
}

async function publish(post: Post): Promise<void> {
  while (true) {
    const old = await kv.get<Post>(["posts", post.id]);
    const operation = kv.atomic().check(old);
    for (const key of old.value === null ? [] : indexes(old.value)) operation.delete(key);
    for (const key of indexes(post)) operation.set(key, post.title);
    operation.set(["posts", post.id], post);
    if ((await operation.commit()).ok) return;
  }
}

async function remove(id: string): Promise<boolean> {
  const old = await kv.get<Post>(["posts", id]);
  if (old.value === null) return false;
  const operation = kv.atomic().check(old).delete(old.key);
  for (const key of indexes(old.value)) operation.delete(key);
  return (await operation.commit()).ok;
}

/** Titles, the newest first: one list, and no entry is read that is not returned. */
async function titles(prefix: Deno.KvKey, limit = 10): Promise<string[]> {
  const list = kv.list<string>({ prefix }, { reverse: true, limit });
  return await Array.fromAsync(list, (entry) => entry.value);
}

const ada = { author: "ada", tags: ["engines"] };
await publish({ id: "1", day: "1843-09-01", title: "Notes", ...ada });
await publish({
  id: "2",
  day: "1936-11-12",
  author: "alan",
  title: "Computable Numbers",
  tags: ["engines", "logic"],
});
await publish({ id: "3", day: "1952-05-01", author: "grace", title: "Compilers", tags: ["code"] });
await publish({ id: "4", day: "1843-10-01", title: "A Sequel", ...ada });

console.log("newest:", await titles(["posts_by_day"], 2));
console.log("by ada:", await titles(["posts_by_author", "ada"]));
console.log("engines:", await titles(["posts_by_tag", "engines"]));

// Changed, a post leaves the indexes that it is no longer in.
await publish({ id: "1", day: "1843-09-01", author: "ada", title: "Notes, with G", tags: ["code"] });
console.log("engines:", await titles(["posts_by_tag", "engines"]));
console.log("code:", await titles(["posts_by_tag", "code"]));

await remove("3");
console.log("code:", await titles(["posts_by_tag", "code"]));
kv.close();
