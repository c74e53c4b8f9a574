// Shows a job queue with retries: a job and its state are written in one atomic operation; a handler that
// throws gets its job again after a while; a job that keeps failing ends up where a person can find it.
//
// Each time a handler throws, the error is printed as well, on standard error.

const kv = await Deno.openKv(":memory:");

interface Job {
  id: string;
  to: string;
  state: "waiting" | "done";
}

/** The job and its message: both are there, or neither. */
async function submit(id: string, to: string): Promise<void> {
  await kv.atomic()
    .set(["jobs", id], { id, to, state: "waiting" } satisfies Job)
    .enqueue(id, {
      backoffSchedule: [20, 40],
      keysIfUndelivered: [["undelivered", id]],
    })
    .commit();
}

/** Stands for something that does not always work. */
let outages = 2;
function sendMail(to: string): void {
  if (to === "nobody@example.com") throw new Error("no such mailbox");
  if (to === "busy@example.com" && outages-- > 0) throw new Error("busy");
}

// A message may come more than once: after a crash, say. So the handler looks whether the work is done
// already, and notes that it is with a check.
kv.listenQueue(async (id: string) => {
  const job = await kv.get<Job>(["jobs", id]);
  if (job.value === null || job.value.state === "done") return;
  sendMail(job.value.to);
  await kv.atomic()
    .check(job)
    .set(job.key, { ...job.value, state: "done" })
    .commit();
});

await submit("1", "ada@example.com");
await submit("2", "busy@example.com");
await submit("3", "nobody@example.com");

// Until every job is done or given up. (kv.watch would do, but Deno's does not hear of jobs that were given up.)
const isOver = async () => {
  const [first, second] = await kv.getMany<[Job, Job]>([["jobs", "1"], ["jobs", "2"]]);
  const givenUp = await kv.get(["undelivered", "3"]);
  return first.value?.state === "done" && second.value?.state === "done" && givenUp.value !== null;
};
while (!await isOver()) await new Promise((done) => setTimeout(done, 20));

for await (const { value } of kv.list<Job>({ prefix: ["jobs"] })) {
  console.log(`job ${value.id} to ${value.to}: ${value.state}`);
}
for await (const { key } of kv.list({ prefix: ["undelivered"] })) {
  console.log(`given up: job ${String(key[1])}`);
}
kv.close();
