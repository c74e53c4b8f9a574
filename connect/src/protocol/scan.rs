//! Counts the repeated fields of a message before it is decoded: two bytes of a body can make a hundred bytes of a
//! decoded message.

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// How often a field of a message may occur, and the fields of its own that are counted.
struct Field {
  tag: u32,
  most: usize,
  inner: &'static [Field],
}

const fn field(tag: u32, most: usize) -> Field {
  Field {
    tag,
    most,
    inner: &[],
  }
}

const SNAPSHOT_READ: &[Field] = &[field(1, 10)];
const WATCH: &[Field] = &[field(1, 10)];
const ATOMIC_WRITE: &[Field] = &[
  field(1, 100),
  field(2, 1000),
  Field {
    tag: 3,
    most: 1000,
    inner: &[field(3, 10), field(4, 10)],
  },
];
const READ_OUTPUT: &[Field] = &[Field {
  tag: 1,
  most: 10,
  inner: &[field(1, 1000)],
}];
const WATCH_OUTPUT: &[Field] = &[field(2, 10)];
const QUEUE_OUTPUT: &[Field] = &[field(1, 1000), field(2, 20_000)];
const QUEUE_EXCHANGE: &[Field] = &[field(6, 10_000), field(7, 10_000)];

/// Whether an answer has more parts than any answer may have. (How many were asked for is seen when it is decoded.)
pub fn too_many_in_answer(method: &str, body: &[u8]) -> bool {
  let fields = match method {
    "snapshot_read" => READ_OUTPUT,
    "queue_exchange" => QUEUE_OUTPUT,
    "watch" => WATCH_OUTPUT,
    // It has a few kilobytes at most.
    _ => return false,
  };
  scan(fields, body).is_some()
}

/// What a request has more of than any server takes, in the words of Deno's limits; `None`: nothing. Bytes that are no
/// message are left to the decoder.
pub fn too_many(method: &str, body: &[u8]) -> Option<&'static str> {
  let (fields, reasons): (_, &[_]) = match method {
    "snapshot_read" => (SNAPSHOT_READ, &["Too many ranges (max 10)"]),
    "watch" => (WATCH, &["Too many keys (max 10)"]),
    "atomic_write" => (
      ATOMIC_WRITE,
      &[
        "Too many checks (max 100)",
        "Too many mutations (max 1000)",
        "Too many mutations (max 1000)",
      ],
    ),
    "queue_exchange" => (
      QUEUE_EXCHANGE,
      &[
        "Too many messages (max 10000)",
        "Too many messages (max 10000)",
      ],
    ),
    _ => return None,
  };
  let index = scan(fields, body)?;
  reasons.get(index).copied()
}

/// The index of the first field that occurs too often.
fn scan(fields: &[Field], mut body: &[u8]) -> Option<usize> {
  let mut counts = [0_usize; 4];
  while body.has_remaining() {
    let (tag, wire_type) = decode_key(&mut body).ok()?;
    let known = fields.iter().position(|field| field.tag == tag);
    let Some(index) = known else {
      skip_field(wire_type, tag, &mut body, DecodeContext::default()).ok()?;
      continue;
    };
    counts[index] += 1;
    if counts[index] > fields[index].most {
      return Some(index);
    }
    if wire_type != WireType::LengthDelimited {
      skip_field(wire_type, tag, &mut body, DecodeContext::default()).ok()?;
      continue;
    }
    let length = usize::try_from(decode_varint(&mut body).ok()?).ok()?;
    let (inner, rest) = body.split_at_checked(length)?;
    if !fields[index].inner.is_empty() && scan(fields[index].inner, inner).is_some() {
      return Some(index);
    }
    body = rest;
  }
  None
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn repeated_fields_are_counted() {
    let ranges = |count: usize| b"\x0a\x00".repeat(count);
    assert_eq!(too_many("snapshot_read", &ranges(10)), None);
    assert_eq!(
      too_many("snapshot_read", &ranges(11)),
      Some("Too many ranges (max 10)")
    );
    assert!(too_many("atomic_write", &ranges(100)).is_none());
    assert!(too_many("atomic_write", &ranges(101)).is_some());
    // Undelivered keys inside one message.
    let keys = b"\x1a\x00".repeat(11);
    let message = [&[0x1a, keys.len() as u8][..], &keys].concat();
    assert!(too_many("atomic_write", &message).is_some());
    // No message at all.
    assert!(too_many("atomic_write", b"\xff\xff\xff").is_none());
  }
}
