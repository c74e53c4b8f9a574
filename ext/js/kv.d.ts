// Type declarations of Deno KV as this library provides it: for editors, and for `tsc` with
// "lib": ["esnext", "dom"]. The signatures are those of Deno 2's own declarations.

declare namespace Deno {
  /**
   * Opens a database. Rejects with a `TypeError` if `path` is no filename, and with an `Error` if
   * the file can't be opened or is no database.
   *
   * @param path A file; it is created if it does not exist. `":memory:"` is a database in memory
   * that only this handle sees. Without a path: the database that belongs to the main script.
   */
  export function openKv(path?: string): Promise<Kv>;

  /**
   * A key: parts in order. Keys sort part by part, and by type: `Uint8Array`, string, bigint,
   * number, boolean. At most 2048 bytes when encoded.
   */
  export type KvKey = readonly KvKeyPart[];

  /** One part of a key. A symbol is only ever the last part, from `Kv.commitVersionstamp()`. */
  export type KvKeyPart = Uint8Array | string | number | bigint | boolean | symbol;

  /** How fresh a read must be. With one local copy of the data, both levels read the same. */
  export type KvConsistencyLevel = "strong" | "eventual";

  /**
   * Which keys to list: all under a prefix, from a start or up to an end if one is given, or all
   * from `start` up to and without `end`. The prefix itself is not among the keys under it.
   */
  export type KvListSelector =
    | { prefix: KvKey }
    | { prefix: KvKey; start: KvKey }
    | { prefix: KvKey; end: KvKey }
    | { start: KvKey; end: KvKey };

  /** A change to one key, as part of an atomic operation. */
  export type KvMutation =
    & { key: KvKey }
    & (
      | {
        type: "set";
        /** Any structured-cloneable value, of at most 65,536 bytes when serialized. */
        value: unknown;
        /** Milliseconds after which the key is gone. */
        expireIn?: number;
      }
      | { type: "delete" }
      | {
        /** Adds to the number stored; to nothing, it sets the operand. A U64 wraps at 2^64. */
        type: "sum";
        value: KvU64;
      }
      | { type: "max"; value: KvU64 }
      | { type: "min"; value: KvU64 }
    );

  /** A key that is set. */
  export interface KvEntry<T> {
    /** The key. */
    key: KvKey;
    /** A copy of what was stored. */
    value: T;
    /** The commit that wrote the value: 20 hexadecimal digits that grow with every commit. */
    versionstamp: string;
  }

  /** What a get returns: the entry, or nulls for a key that is not set. */
  export type KvEntryMaybe<T> = KvEntry<T> | {
    key: KvKey;
    value: null;
    versionstamp: null;
  };

  /** How to list. */
  export interface KvListOptions {
    /** How many entries at most; a positive integer. Default: all. */
    limit?: number;
    /** Where an earlier list has stopped: its iterator's `cursor`. */
    cursor?: string;
    /** From the last key to the first. */
    reverse?: boolean;
    /** How fresh the entries must be. */
    consistency?: KvConsistencyLevel;
    /**
     * How many entries are read at a time, each time from one snapshot; at most 1000. Default:
     * the limit, but no more than 500; without a limit, 100.
     */
    batchSize?: number;
  }

  /** Reads a list. Made by `Kv.list()`. */
  export class KvListIterator<T> implements AsyncIterableIterator<KvEntry<T>> {
    /**
     * Where the list is: give it to another list with the same selector to go on from there.
     * Empty after the last entry. Throws before the first.
     */
    get cursor(): string;
    /** The next entry. Calls that don't wait for each other get different entries. */
    next(): Promise<IteratorResult<KvEntry<T>, undefined>>;
    /** Itself: a list is read once. */
    [Symbol.asyncIterator](): AsyncIterableIterator<KvEntry<T>>;
  }

  /** A commit that has happened: it is on disk. */
  export interface KvCommitResult {
    /** All of it is stored. */
    ok: true;
    /** Of the commit, and of every key that it has set. */
    versionstamp: string;
  }

  /** A commit that did not happen: a check failed. */
  export interface KvCommitError {
    /** Nothing of it is stored. */
    ok: false;
  }

  /** What must be true for an atomic operation to commit. */
  export interface AtomicCheck {
    /** The key. An entry that was read is a check as well. */
    key: KvKey;
    /** The key was last written by this commit; null: it is not set. */
    versionstamp: string | null;
  }

  /**
   * Checks and mutations that are committed together, all or nothing: at most 100 checks and 1000
   * mutations, of 819,200 bytes. Made by `Kv.atomic()`; nothing happens before `commit()`.
   */
  export class AtomicOperation {
    /** Commit only if all of these hold then. */
    check(...checks: AtomicCheck[]): this;
    /** Adds changes that are given as objects. */
    mutate(...mutations: KvMutation[]): this;
    /** Adds to the U64 stored, wrapping at 2^64. */
    sum(key: KvKey, n: bigint): this;
    /** Keeps the smaller of the U64 stored and this one. */
    min(key: KvKey, n: bigint): this;
    /** Keeps the larger of the U64 stored and this one. */
    max(key: KvKey, n: bigint): this;
    /** Stores a value; with `expireIn`, for so many milliseconds. */
    set(key: KvKey, value: unknown, options?: { expireIn?: number }): this;
    /** Removes a key, if it is set. */
    delete(key: KvKey): this;
    /** Puts a message into the queue; it counts as a mutation. */
    enqueue(
      value: unknown,
      options?: {
        /** Milliseconds before the first delivery: at most 30 days. */
        delay?: number;
        /** Keys that a message is stored under when its last delivery has failed. */
        keysIfUndelivered?: KvKey[];
        /** Milliseconds to wait after each delivery that failed: at most 5, of an hour each. */
        backoffSchedule?: number[];
      },
    ): this;
    /**
     * Commits. Resolves when everything is on disk, or with `{ ok: false }` when a check failed.
     * Rejects, and leaves no trace, when a mutation can't be done.
     */
    commit(): Promise<KvCommitResult | KvCommitError>;
  }

  /** A handle to a database. Made by `Deno.openKv()`. */
  export class Kv implements Disposable {
    /** Gets the entry of a key; its value and versionstamp are null if the key is not set. */
    get<T = unknown>(
      key: KvKey,
      options?: { consistency?: KvConsistencyLevel },
    ): Promise<KvEntryMaybe<T>>;
    /** Gets up to 10 keys from one snapshot. */
    getMany<T extends readonly unknown[]>(
      keys: readonly [...{ [K in keyof T]: KvKey }],
      options?: { consistency?: KvConsistencyLevel },
    ): Promise<{ [K in keyof T]: KvEntryMaybe<T[K]> }>;
    /**
     * Sets a key. Resolves when the value is on disk. With `expireIn`, the key is gone after so
     * many milliseconds.
     */
    set(
      key: KvKey,
      value: unknown,
      options?: { expireIn?: number },
    ): Promise<KvCommitResult>;
    /** Removes a key, if it is set. */
    delete(key: KvKey): Promise<void>;
    /**
     * Lists entries in the order of their keys. Nothing is read before the first `next()`. Throws a
     * `TypeError` if the selector has none of its four shapes; `next()` rejects with one if its keys
     * contradict each other.
     */
    list<T = unknown>(
      selector: KvListSelector,
      options?: KvListOptions,
    ): KvListIterator<T>;
    /**
     * Puts a message into the queue. It is delivered at least once, to one of all who listen, in any
     * process: in the order messages are due. Resolves when it is on disk.
     */
    enqueue(
      value: unknown,
      options?: {
        /** Milliseconds before the first delivery: at most 30 days. */
        delay?: number;
        /** Keys that a message is stored under when its last delivery has failed. */
        keysIfUndelivered?: KvKey[];
        /** Milliseconds to wait after each delivery that failed: at most 5, of an hour each. */
        backoffSchedule?: number[];
      },
    ): Promise<KvCommitResult>;
    /**
     * Calls `handler` for messages, up to 100 at a time. When it throws or rejects, the message is
     * delivered again after the next interval of its schedule. Resolves when the database is closed.
     */
    // deno-lint-ignore no-explicit-any
    listenQueue(handler: (value: any) => Promise<void> | void): Promise<void>;
    /**
     * Streams what up to 10 keys are: at once, and whenever one of them has changed, whoever has changed
     * it. A reader that is slow gets the latest state. With `raw`, also a change to the same value.
     */
    watch<T extends readonly unknown[]>(
      keys: readonly [...{ [K in keyof T]: KvKey }],
      options?: { raw?: boolean },
    ): ReadableStream<{ [K in keyof T]: KvEntryMaybe<T[K]> }>;
    /** An atomic operation, to add checks and changes to. */
    atomic(): AtomicOperation;
    /** As the last part of a key that is set, stands for the versionstamp of the commit. */
    commitVersionstamp(): symbol;
    /** Closes the handle. Writes that were begun are finished. */
    close(): void;
    /** Closes the handle, if it is open: `using kv = await Deno.openKv()`. */
    [Symbol.dispose](): void;
  }

  /** A 64-bit unsigned integer: the value that sum, min and max work on. */
  export class KvU64 {
    /** Throws a `RangeError` unless `0 <= value < 2^64`. */
    constructor(value: bigint);
    /** The number. */
    readonly value: bigint;
  }
}
