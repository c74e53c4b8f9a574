// What the scripts that read have in their file: 20,000 small objects.
export const KEYS = 20_000;

export const value = (i) => ({ id: i, name: `user ${i}`, tags: ["a", "b"] });

export async function fill(kv, keys = KEYS) {
  for (let i = 0; i < keys; i += 500) {
    const operation = kv.atomic();
    for (let j = i; j < i + 500; j++) operation.set(["users", j], value(j));
    await operation.commit();
  }
}

/** Microseconds that one of `count` takes. */
export async function microseconds(count, run) {
  const started = performance.now();
  await run();
  return (performance.now() - started) / count * 1000;
}

/** A key in no order that a cache could guess. */
export const someKey = (i, keys = KEYS) => ["users", (i * 7919) % keys];
