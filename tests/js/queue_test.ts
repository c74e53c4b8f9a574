// enqueue and listenQueue.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Any, withFolder, withKv } from "./helpers.ts";

/** Collects messages, and waits for them. */
class Inbox {
  messages: Any[] = [];
  #waiting: (() => void) | null = null;

  receive = (message: unknown) => {
    this.messages.push(message);
    this.#waiting?.();
  };

  async until(count: number) {
    const deadline = Date.now() + 20_000;
    while (this.messages.length < count) {
      if (Date.now() > deadline) throw new Error(`only ${this.messages.length} messages came`);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        setTimeout(resolve, 100);
      });
    }
    return this.messages;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test(
  "a message reaches the handler, and is gone",
  withKv(async (kv) => {
    const inbox = new Inbox();
    const listening = kv.listenQueue(inbox.receive);
    const result = await kv.enqueue({ to: "ada", when: new Date(0) });
    assert(result.ok);
    assertEquals(typeof result.versionstamp, "string");
    assertEquals(await inbox.until(1), [{ to: "ada", when: new Date(0) }]);
    await pause(50);
    assertEquals(inbox.messages.length, 1);
    kv.close();
    assertEquals(await listening, undefined);
  }),
);

Deno.test(
  "messages of every kind arrive as structured clones",
  withKv(async (kv) => {
    const inbox = new Inbox();
    const listening = kv.listenQueue(inbox.receive);
    const shared = { x: 1 };
    const values = [undefined, null, 1, "text", 1n, new Uint8Array([1, 2]), [shared, shared]];
    for (const [i, value] of values.entries()) await kv.enqueue([i, value]);
    await kv.enqueue([values.length, new Deno.KvU64(5n)]);
    const messages = await inbox.until(values.length + 1);
    messages.sort((a, b) => a[0] - b[0]);
    assertEquals(messages.map((m) => m[1]), [...values, { value: 5n }]);
    const [first, second] = messages[values.length - 1][1];
    assert(first === second);
    await assertRejects(() => kv.enqueue(() => 1), Error, "could not be cloned");
    kv.close();
    await listening;
  }),
);

Deno.test(
  "a message waits for its delay",
  withKv(async (kv) => {
    const inbox = new Inbox();
    const listening = kv.listenQueue((message) => inbox.receive([message, Date.now()]));
    const started = Date.now();
    await kv.enqueue("late", { delay: 300 });
    await kv.enqueue("now");
    const [[first], [second, when]] = await inbox.until(2);
    assertEquals([first, second], ["now", "late"]);
    assert(when - started >= 299, String(when - started));
    kv.close();
    await listening;
  }),
);

Deno.test(
  "an atomic operation enqueues when it commits, and not when a check fails",
  withKv(async (kv) => {
    const inbox = new Inbox();
    const listening = kv.listenQueue(inbox.receive);
    const result = await kv.atomic().set(["a"], 1).enqueue("committed").commit();
    assert(result.ok);
    const failed = await kv.atomic()
      .check({ key: ["a"], versionstamp: null })
      .enqueue("never")
      .commit();
    assertEquals(failed.ok, false);
    await inbox.until(1);
    await pause(100);
    assertEquals(inbox.messages, ["committed"]);
    kv.close();
    await listening;
  }),
);

Deno.test(
  "a handler that fails gets the message again, and then it is kept under its keys",
  withKv(async (kv) => {
    const times: number[] = [];
    const inbox = new Inbox();
    const listening = kv.listenQueue((message) => {
      times.push(Date.now());
      inbox.receive(message);
      if (times.length % 2 === 0) throw new Error("expected: thrown by the test's handler");
      return Promise.reject(new Error("expected: rejected by the test's handler"));
    });
    await kv.enqueue("job", {
      backoffSchedule: [50, 100],
      keysIfUndelivered: [["failed", 1], ["failed", 2]],
    });
    assertEquals(await inbox.until(3), ["job", "job", "job"]);
    assert(times[1] - times[0] >= 49, String(times));
    assert(times[2] - times[1] >= 99, String(times));
    let kept = await kv.get(["failed", 1]);
    for (let i = 0; i < 100 && kept.value === null; i++) {
      await pause(20);
      kept = await kv.get(["failed", 1]);
    }
    assertEquals(kept.value, "job");
    assertEquals((await kv.get(["failed", 2])).value, "job");
    await pause(100);
    assertEquals(inbox.messages.length, 3);
    kv.close();
    await listening;
  }),
);

Deno.test(
  "messages wait in the file for somebody who listens",
  withFolder(async (folder) => {
    const path = `${folder}/kv.sqlite3`;
    const first = await Deno.openKv(path);
    await first.enqueue("kept");
    first.close();
    const kv = await Deno.openKv(path);
    const inbox = new Inbox();
    const listening = kv.listenQueue(inbox.receive);
    assertEquals(await inbox.until(1), ["kept"]);
    kv.close();
    await listening;
  }),
);

Deno.test(
  "handles of one file share its queue: each message is given to one of those who listen",
  withFolder(async (folder) => {
    const path = `${folder}/kv.sqlite3`;
    const kv = await Deno.openKv(path);
    const inbox = new Inbox();
    const listening = [kv.listenQueue(inbox.receive), kv.listenQueue(inbox.receive)];
    const count = 50;
    for (let i = 0; i < count; i++) await kv.enqueue(i);
    await inbox.until(count);
    await pause(100);
    assertEquals(inbox.messages.sort((a, b) => a - b), [...Array(count).keys()]);
    kv.close();
    await Promise.all(listening);
  }),
);

Deno.test(
  "at most 100 handlers are at work",
  withKv(async (kv) => {
    let atWork = 0;
    let most = 0;
    const inbox = new Inbox();
    const listening = kv.listenQueue(async (message) => {
      most = Math.max(most, ++atWork);
      await pause(20);
      atWork--;
      inbox.receive(message);
    });
    const operation = kv.atomic();
    for (let i = 0; i < 250; i++) operation.enqueue(i);
    await operation.commit();
    await inbox.until(250);
    assert(most > 1 && most <= 100, String(most));
    kv.close();
    await listening;
  }),
);

Deno.test(
  "what can't be enqueued is refused with what is wrong",
  withKv(async (kv) => {
    const refused = async (options: Any, message: string) => {
      await assertRejects(() => kv.enqueue(1, options), TypeError, message);
      assertThrows(() => kv.atomic().enqueue(1, options), TypeError, message);
    };
    await refused({ delay: -1 }, "Delay must be >= 0: received -1");
    await refused({ delay: NaN }, "Delay cannot be NaN");
    await refused({ delay: 2592000001 }, "Delay cannot be greater than 30 days: received 2592000001");
    await refused(
      { backoffSchedule: [1, 1, 1, 1, 1, 1] },
      "Invalid backoffSchedule, max 5 intervals allowed",
    );
    const invalid = "Invalid backoffSchedule, interval at index 1 is invalid";
    await refused({ backoffSchedule: [1, -1] }, invalid);
    await refused({ backoffSchedule: [1, 3600001] }, invalid);
    await refused({ backoffSchedule: [1, NaN] }, invalid);
    await assertRejects(
      () => kv.enqueue("x".repeat(70_000)),
      TypeError,
      "enqueue payload too large (max 65536 bytes)",
    );
    await assertRejects(
      () => kv.enqueue(1, { keysIfUndelivered: [[{} as Any]] }),
      TypeError,
      "expected string, number, bigint, ArrayBufferView, boolean",
    );
    const operation = kv.atomic();
    for (let i = 0; i < 1001; i++) operation.enqueue(i);
    await assertRejects(() => operation.commit(), TypeError, "Too many mutations (max 1000)");
    assert((await kv.enqueue(1, { delay: 1.5, backoffSchedule: [] })).ok);
  }),
);

Deno.test(
  "closing ends all who listen, and nobody can begin",
  withKv(async (kv) => {
    const listening = [kv.listenQueue(() => {}), kv.listenQueue(() => {})];
    await pause(10);
    kv.close();
    assertEquals(await Promise.all(listening), [undefined, undefined]);
    await assertRejects(() => kv.listenQueue(() => {}), Error, "Queue already closed");
    await assertRejects(() => kv.enqueue(1), Error, "Bad resource ID");
  }),
);

Deno.test(
  "an operation shows its messages",
  withKv(async (kv) => {
    await Promise.resolve();
    const operation = kv.atomic()
      .enqueue({ a: 1 }, { delay: 5, backoffSchedule: [1], keysIfUndelivered: [["a"]] })
      .set(["a"], 1)
      .enqueue("b");
    assertEquals(
      Deno.inspect(operation),
      `AtomicOperation
  set([ "a" ], 1)
  enqueue({ a: 1 }, { delay: 5, keysIfUndelivered: [ [ "a" ] ], backoffSchedule: [ 1 ] })
  enqueue("b")`,
    );
    assertEquals([kv.enqueue.length, kv.listenQueue.length, operation.enqueue.length], [2, 1, 2]);
  }),
);

Deno.test(
  "only a promise that a handler returns is waited for",
  withKv(async (kv) => {
    let calls = 0;
    const listening = kv.listenQueue(() => {
      calls++;
      // deno-lint-ignore no-explicit-any
      return { then: (_: any, reject: any) => reject(new Error("not asked")) } as any;
    });
    await kv.enqueue(1, { backoffSchedule: [10] });
    const deadline = Date.now() + 10_000;
    while (calls === 0 && Date.now() < deadline) await new Promise((r) => setTimeout(r, 5));
    await new Promise((r) => setTimeout(r, 300));
    kv.close();
    await listening;
    assertEquals(calls, 1);
  }),
);
