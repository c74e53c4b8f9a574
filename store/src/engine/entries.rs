use super::Held;
use crate::value::ValueRef;
use crate::versionstamp::Versionstamp;

/// The entries of a range, in the order they were read.
///
/// The bytes of all of them are in one piece of memory: two allocations for each entry would be a good part of
/// what a long read takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
  bytes: Vec<u8>,
  rows: Vec<Row>,
}

/// An entry's bytes begin where those of the one before end: the key's, then the value's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
  key_end: usize,
  end: usize,
  kind: Kind,
  versionstamp: Versionstamp,
}

/// A value but for its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
  V8,
  U64(u64),
  Bytes,
  Unknown(i64),
}

/// One of [`Entries`]: a key that is set, its value, and the commit that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRef<'a> {
  /// The key, encoded.
  pub key: &'a [u8],
  /// The value.
  pub value: ValueRef<'a>,
  /// The commit that last wrote the key.
  pub versionstamp: Versionstamp,
}

impl EntryRef<'_> {
  /// What the key holds, with bytes of its own.
  pub fn to_held(self) -> Held {
    Held {
      value: self.value.to_value(),
      versionstamp: self.versionstamp,
    }
  }
}

impl Entries {
  /// Adds an entry at the end. Its key is encoded.
  pub fn push(&mut self, key: &[u8], value: ValueRef<'_>, versionstamp: Versionstamp) {
    let (bytes, kind): (&[u8], _) = match value {
      ValueRef::V8(bytes) => (bytes, Kind::V8),
      ValueRef::U64(number) => (&[], Kind::U64(number)),
      ValueRef::Bytes(bytes) => (bytes, Kind::Bytes),
      ValueRef::Unknown { encoding, bytes } => (bytes, Kind::Unknown(encoding)),
    };
    // For both at once: most reads are of one entry.
    self.bytes.reserve(key.len() + bytes.len());
    self.bytes.extend_from_slice(key);
    let key_end = self.bytes.len();
    self.bytes.extend_from_slice(bytes);
    self.rows.push(Row {
      key_end,
      end: self.bytes.len(),
      kind,
      versionstamp,
    });
  }

  /// How many there are.
  pub fn len(&self) -> usize {
    self.rows.len()
  }

  /// Whether there is none.
  pub fn is_empty(&self) -> bool {
    self.rows.is_empty()
  }

  /// The one at `index`, from 0.
  pub fn get(&self, index: usize) -> Option<EntryRef<'_>> {
    let row = self.rows.get(index)?;
    let start = index
      .checked_sub(1)
      .and_then(|before| self.rows.get(before))
      .map_or(0, |before| before.end);
    let bytes = &self.bytes[row.key_end..row.end];
    Some(EntryRef {
      key: &self.bytes[start..row.key_end],
      value: match row.kind {
        Kind::V8 => ValueRef::V8(bytes),
        Kind::U64(number) => ValueRef::U64(number),
        Kind::Bytes => ValueRef::Bytes(bytes),
        Kind::Unknown(encoding) => ValueRef::Unknown { encoding, bytes },
      },
      versionstamp: row.versionstamp,
    })
  }

  /// The first one: of a range of one key all there is.
  pub fn first(&self) -> Option<EntryRef<'_>> {
    self.get(0)
  }

  /// All of them, in order.
  pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
    (0..self.len()).filter_map(|index| self.get(index))
  }
}

#[cfg(test)]
mod tests {
  use super::*;
  use crate::value::Value;

  #[test]
  fn what_is_pushed_is_there_in_order() {
    let values = [
      Value::V8(vec![1, 2]),
      Value::U64(u64::MAX),
      Value::Bytes(vec![]),
      Value::Bytes(vec![3; 1000]),
      Value::Unknown {
        encoding: 7,
        bytes: vec![4],
      },
    ];
    let keys: [&[u8]; 5] = [b"", b"a", b"bc", b"d", b"e"];
    let mut entries = Entries::default();
    assert!(entries.is_empty());
    assert_eq!(entries.first(), None);
    let versionstamp = |i: usize| Versionstamp::from_version(i as u64);
    for (i, (key, value)) in keys.into_iter().zip(&values).enumerate() {
      entries.push(key, value.as_ref(), versionstamp(i));
    }
    assert_eq!(entries.len(), 5);
    for (i, entry) in entries.iter().enumerate() {
      assert_eq!(entry.key, keys[i]);
      let held = Held {
        value: values[i].clone(),
        versionstamp: versionstamp(i),
      };
      assert_eq!(entry.to_held(), held);
    }
    assert_eq!(entries.iter().count(), 5);
    assert_eq!(entries.get(5), None);
  }
}
