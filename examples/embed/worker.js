// Counts words until it is told to stop.
const kv = await Deno.openKv();

await kv.listenQueue(async (message) => {
  if (message[0] === "stop") return kv.close();
  await kv.atomic().sum(["count", message], 1n).sum(["counted"], 1n).commit();
});
