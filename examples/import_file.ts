// Shows the import of a large file with a progress bar: lines are read as a stream and written in batches,
// each an atomic operation, so that neither memory nor the number of syncs grows with the file. The place
// reached is written with every batch: an import that was interrupted goes on where it was.
//
// It makes a file of words of its own to import; give it another one, a word a line, as its argument.

const LINES_PER_BATCH = 400;

const kv = await Deno.openKv(":memory:");
const path = Deno.args[0] ?? await makeFile(20_000);
const { size } = await Deno.stat(path);

let batch: string[] = [];
let bytes = (await kv.get<number>(["imported", path])).value ?? 0;
const start = bytes;

async function flush(): Promise<void> {
  const operation = kv.atomic().set(["imported", path], bytes);
  for (const line of batch) operation.set(["words", line], line.length);
  await operation.commit();
  batch = [];
  progress(bytes / size);
}

/** Drawn on a terminal; a log gets a line at the end only. */
function progress(done: number): void {
  if (!Deno.stderr.isTerminal()) return;
  const width = 40;
  const full = Math.round(done * width);
  const bar = "█".repeat(full) + "░".repeat(width - full);
  const text = `\r${bar} ${Math.round(done * 100)} %${done === 1 ? "\n" : ""}`;
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

const encoder = new TextEncoder();
for await (const line of lines(path, start)) {
  batch.push(line);
  bytes += encoder.encode(line).length + 1;
  if (batch.length === LINES_PER_BATCH) await flush();
}
await flush();

let count = 0;
for await (const _ of kv.list({ prefix: ["words"] }, { batchSize: 1000 })) count++;
console.log(`${count} words from ${size} bytes`);
kv.close();
if (Deno.args[0] === undefined) await Deno.remove(path);

/** The lines of a file from a place in it, read in pieces. */
async function* lines(path: string, from: number): AsyncGenerator<string> {
  using file = await Deno.open(path);
  await file.seek(from, Deno.SeekMode.Start);
  const decoder = new TextDecoder();
  const piece = new Uint8Array(64 * 1024);
  let rest = "";
  for (let read = await file.read(piece); read !== null; read = await file.read(piece)) {
    const whole = (rest + decoder.decode(piece.subarray(0, read), { stream: true })).split("\n");
    rest = whole.pop() ?? "";
    yield* whole;
  }
  if (rest !== "") yield rest;
}

async function makeFile(words: number): Promise<string> {
  const path = await Deno.makeTempFile();
  let text = "";
  for (let i = 0; i < words; i++) text += `word-${(i * 7919) % words}\n`;
  await Deno.writeTextFile(path, text);
  return path;
}
