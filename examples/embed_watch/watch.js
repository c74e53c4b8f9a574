// Prints what a key is, until it is 100.
const kv = await Deno.openKv();

for await (const [progress] of kv.watch([["progress"]])) {
  print(`progress: ${progress.value}`);
  if (progress.value === 100) break;
}
kv.close();
