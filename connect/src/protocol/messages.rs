//! The messages of the data path: package `com.deno.kv.datapath`, proto3. Names and numbers are those of Deno's schema,
//! `proto/schema/datapath.proto` in denoland/denokv.

use prost::{Enumeration, Message};

/// Ranges to read from one snapshot.
#[derive(Clone, PartialEq, Message)]
pub struct SnapshotRead {
  /// At most ten.
  #[prost(message, repeated, tag = "1")]
  pub ranges: Vec<ReadRange>,
}

/// Keys from `start`, up to and without `end`.
#[derive(Clone, PartialEq, Message)]
pub struct ReadRange {
  /// The first key.
  #[prost(bytes = "vec", tag = "1")]
  pub start: Vec<u8>,
  /// The key to stop before.
  #[prost(bytes = "vec", tag = "2")]
  pub end: Vec<u8>,
  /// How many entries at most.
  #[prost(int32, tag = "3")]
  pub limit: i32,
  /// From the end to the start.
  #[prost(bool, tag = "4")]
  pub reverse: bool,
}

/// The answer to [`SnapshotRead`].
#[derive(Clone, PartialEq, Message)]
pub struct SnapshotReadOutput {
  /// One for each range that was asked for.
  #[prost(message, repeated, tag = "1")]
  pub ranges: Vec<ReadRangeOutput>,
  /// What versions 1 and 2 look at in place of `status`.
  #[prost(bool, tag = "2")]
  pub read_disabled: bool,
  /// Whether every commit that was answered before is in it.
  #[prost(bool, tag = "4")]
  pub read_is_strongly_consistent: bool,
  /// Whether there was a read at all.
  #[prost(enumeration = "SnapshotReadStatus", tag = "8")]
  pub status: i32,
}

/// The entries of a range.
#[derive(Clone, PartialEq, Message)]
pub struct ReadRangeOutput {
  /// In the order they were read.
  #[prost(message, repeated, tag = "1")]
  pub values: Vec<KvEntry>,
}

/// A key that is set.
#[derive(Clone, PartialEq, Message)]
pub struct KvEntry {
  /// The key, encoded.
  #[prost(bytes = "vec", tag = "1")]
  pub key: Vec<u8>,
  /// The bytes of the value.
  #[prost(bytes = "vec", tag = "2")]
  pub value: Vec<u8>,
  /// How to read them.
  #[prost(enumeration = "ValueEncoding", tag = "3")]
  pub encoding: i32,
  /// Ten bytes.
  #[prost(bytes = "vec", tag = "4")]
  pub versionstamp: Vec<u8>,
}

/// How a read has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum SnapshotReadStatus {
  /// Not sent.
  Unspecified = 0,
  /// It was done.
  Success = 1,
  /// The database can't be read at the moment.
  ReadDisabled = 2,
}

/// Checks, mutations and messages that are committed together, or not at all.
#[derive(Clone, PartialEq, Message)]
pub struct AtomicWrite {
  /// What must be true of the database.
  #[prost(message, repeated, tag = "1")]
  pub checks: Vec<Check>,
  /// What to change.
  #[prost(message, repeated, tag = "2")]
  pub mutations: Vec<Mutation>,
  /// What to put into the queue.
  #[prost(message, repeated, tag = "3")]
  pub enqueues: Vec<Enqueue>,
}

/// A key must have been last written by this commit.
#[derive(Clone, PartialEq, Message)]
pub struct Check {
  /// The key, encoded.
  #[prost(bytes = "vec", tag = "1")]
  pub key: Vec<u8>,
  /// Ten bytes, or none: the key must not be set.
  #[prost(bytes = "vec", tag = "2")]
  pub versionstamp: Vec<u8>,
}

/// A change to one key.
#[derive(Clone, PartialEq, Message)]
pub struct Mutation {
  /// The key, encoded.
  #[prost(bytes = "vec", tag = "1")]
  pub key: Vec<u8>,
  /// The value or the operand.
  #[prost(message, optional, tag = "2")]
  pub value: Option<KvValue>,
  /// The change.
  #[prost(enumeration = "MutationType", tag = "3")]
  pub mutation_type: i32,
  /// When the value expires, in UTC milliseconds. 0, and -1: never.
  #[prost(int64, tag = "4")]
  pub expire_at_ms: i64,
  /// The smallest sum that is allowed, as a value of V8. Empty: none.
  #[prost(bytes = "vec", tag = "5")]
  pub sum_min: Vec<u8>,
  /// The largest one.
  #[prost(bytes = "vec", tag = "6")]
  pub sum_max: Vec<u8>,
  /// Whether a sum beyond a bound becomes the bound. Else it is an error.
  #[prost(bool, tag = "7")]
  pub sum_clamp: bool,
}

/// A value.
#[derive(Clone, PartialEq, Message)]
pub struct KvValue {
  /// Its bytes.
  #[prost(bytes = "vec", tag = "1")]
  pub data: Vec<u8>,
  /// How to read them.
  #[prost(enumeration = "ValueEncoding", tag = "2")]
  pub encoding: i32,
}

/// The changes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum MutationType {
  /// Not sent: an error.
  Unspecified = 0,
  /// Store the value.
  Set = 1,
  /// Remove the key.
  Delete = 2,
  /// Add to the number that is stored.
  Sum = 3,
  /// Keep the larger number.
  Max = 4,
  /// Keep the smaller number.
  Min = 5,
  /// Store the value under the key and the commit's versionstamp.
  SetSuffixVersionstampedKey = 9,
}

/// The encodings of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum ValueEncoding {
  /// Not sent: an error.
  Unspecified = 0,
  /// A structured clone in V8's format.
  V8 = 1,
  /// Eight bytes, little-endian.
  Le64 = 2,
  /// Bytes as they are.
  Bytes = 3,
}

/// A message for the queue.
#[derive(Clone, PartialEq, Message)]
pub struct Enqueue {
  /// A structured clone in V8's format.
  #[prost(bytes = "vec", tag = "1")]
  pub payload: Vec<u8>,
  /// When it may be delivered, in UTC milliseconds.
  #[prost(int64, tag = "2")]
  pub deadline_ms: i64,
  /// Where it is stored when it can't be delivered: encoded keys.
  #[prost(bytes = "vec", repeated, tag = "3")]
  pub keys_if_undelivered: Vec<Vec<u8>>,
  /// Milliseconds to wait after each delivery that fails. Empty: the usual schedule.
  #[prost(uint32, repeated, tag = "4")]
  pub backoff_schedule: Vec<u32>,
  /// This crate's own: an empty schedule means what it says. Servers that don't know the field skip it.
  #[prost(bool, tag = "100")]
  pub is_not_retried: bool,
}

/// The answer to [`AtomicWrite`].
#[derive(Clone, PartialEq, Message)]
pub struct AtomicWriteOutput {
  /// How it has ended.
  #[prost(enumeration = "AtomicWriteStatus", tag = "1")]
  pub status: i32,
  /// Ten bytes, after a commit.
  #[prost(bytes = "vec", tag = "2")]
  pub versionstamp: Vec<u8>,
  /// The indices of the checks that did not hold.
  #[prost(uint32, repeated, tag = "4")]
  pub failed_checks: Vec<u32>,
}

/// How an atomic write has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum AtomicWriteStatus {
  /// Not sent.
  Unspecified = 0,
  /// It is committed.
  Success = 1,
  /// A check did not hold.
  CheckFailure = 2,
  /// The database can't be written.
  WriteDisabled = 5,
}

/// Keys to watch.
#[derive(Clone, PartialEq, Message)]
pub struct Watch {
  /// At most ten.
  #[prost(message, repeated, tag = "1")]
  pub keys: Vec<WatchKey>,
}

/// A key to watch.
#[derive(Clone, PartialEq, Message)]
pub struct WatchKey {
  /// The key, encoded.
  #[prost(bytes = "vec", tag = "1")]
  pub key: Vec<u8>,
}

/// A frame of a watch: what has changed since the last one.
#[derive(Clone, PartialEq, Message)]
pub struct WatchOutput {
  /// Whether there was a read.
  #[prost(enumeration = "SnapshotReadStatus", tag = "1")]
  pub status: i32,
  /// One for each watched key, in order.
  #[prost(message, repeated, tag = "2")]
  pub keys: Vec<WatchKeyOutput>,
}

/// A key in a frame.
#[derive(Clone, PartialEq, Message)]
pub struct WatchKeyOutput {
  /// Whether it has changed. In the first frame every key has.
  #[prost(bool, tag = "1")]
  pub changed: bool,
  /// What it holds, if it has changed. Without one the key is not set.
  #[prost(message, optional, tag = "2")]
  pub entry_if_changed: Option<KvEntry>,
}

/// The extension `queue/1`: receives messages, ends deliveries, and renews leases (docs/kv-connect.md).
#[derive(Clone, PartialEq, Message)]
pub struct QueueExchange {
  /// 16 bytes that the client has chosen for its session.
  #[prost(bytes = "vec", tag = "1")]
  pub session: Vec<u8>,
  /// Counts the session's polls from 1, of which the last one counts. 0: no poll, nothing is received.
  #[prost(uint64, tag = "2")]
  pub poll: u64,
  /// How many more messages the client takes.
  #[prost(uint32, tag = "3")]
  pub max: u32,
  /// How long the answer may wait for a message, in milliseconds.
  #[prost(uint32, tag = "4")]
  pub wait_ms: u32,
  /// How long the server keeps the session's messages without hearing of it, in milliseconds.
  #[prost(uint32, tag = "5")]
  pub lease_ms: u32,
  /// In a poll: the messages that the client has, or has asked to end and was not answered.
  #[prost(string, repeated, tag = "6")]
  pub held: Vec<String>,
  /// Deliveries to end.
  #[prost(message, repeated, tag = "7")]
  pub finished: Vec<Finish>,
  /// The client listens no more: the session's other messages go to others.
  #[prost(bool, tag = "8")]
  pub close: bool,
}

/// The end of a delivery.
#[derive(Clone, PartialEq, Message)]
pub struct Finish {
  /// The message.
  #[prost(string, tag = "1")]
  pub id: String,
  /// What became of it.
  #[prost(enumeration = "FinishOutcome", tag = "2")]
  pub outcome: i32,
  /// The number of the delivery.
  #[prost(uint64, tag = "3")]
  pub delivery: u64,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum FinishOutcome {
  /// Not sent: an error.
  Unspecified = 0,
  /// It was delivered: the message is removed.
  Delivered = 1,
  /// It was not: the message comes again by its backoff schedule.
  Failed = 2,
  /// It was not tried: the message goes to others, with its whole schedule.
  Returned = 3,
}

/// The answer to [`QueueExchange`].
#[derive(Clone, PartialEq, Message)]
pub struct QueueExchangeOutput {
  /// Messages for the client; also those of an earlier answer that it does not seem to have got.
  #[prost(message, repeated, tag = "1")]
  pub messages: Vec<QueueMessage>,
  /// Messages among `held` and `finished` that the session does not have any more: their delivery was ended before, or
  /// they have gone to others.
  #[prost(string, repeated, tag = "2")]
  pub gone: Vec<String>,
  /// Whether there is a queue.
  #[prost(enumeration = "QueueStatus", tag = "3")]
  pub status: i32,
}

/// A message that is delivered.
#[derive(Clone, PartialEq, Message)]
pub struct QueueMessage {
  /// By this the client ends its delivery.
  #[prost(string, tag = "1")]
  pub id: String,
  /// A structured clone in V8's format.
  #[prost(bytes = "vec", tag = "2")]
  pub payload: Vec<u8>,
  /// The number of the delivery, of which a session has no two.
  #[prost(uint64, tag = "3")]
  pub delivery: u64,
}

/// How an exchange has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum QueueStatus {
  /// Not sent.
  Unspecified = 0,
  /// It was done.
  Success = 1,
  /// The database has no queue that can be listened to: it may only be read.
  Disabled = 2,
}
