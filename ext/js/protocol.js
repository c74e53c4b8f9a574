// The numbers that the ops and this module agree on. ext/src/ops/protocol.rs has the same, and a test compares them.

/** Kinds of values: the encoding numbers of the database. A structured clone in V8's wire format. */
export const KIND_V8 = 1;
/** A Deno.KvU64. */
export const KIND_U64 = 2;
/** A Uint8Array, kept as it is. */
export const KIND_BYTES = 3;

/** Types of mutations. */
export const SET = 0;
export const DELETE = 1;
export const SUM = 2;
export const MIN = 3;
export const MAX = 4;

/** Classes of objects, for an engine whose interface goes by what an object says of itself. A plain object, or one of a
 * script's own class. */
export const CLASS_OBJECT = 0;
export const CLASS_DATE = 1;
export const CLASS_MAP = 2;
export const CLASS_SET = 3;
export const CLASS_REGEXP = 4;
/** An object around a primitive. */
export const CLASS_BOXED = 5;
export const CLASS_ARRAY_BUFFER = 6;
export const CLASS_DATA_VIEW = 7;
/** An object with a state that a clone can't take. */
export const CLASS_OPAQUE = 8;

/** Fields of an entry, which cross flat, in one array for all entries: key, value, versionstamp. */
export const ENTRY_FIELDS = 3;
/** Of a check: key, versionstamp. */
export const CHECK_FIELDS = 2;
/** Of a mutation: key, type, kind of the value, value, expireIn. */
export const MUTATION_FIELDS = 5;
/** Of a message: payload, delay, keysIfUndelivered, backoffSchedule. */
export const ENQUEUE_FIELDS = 4;
