use super::{MalformedError, Reader, tag};

/// A level of nesting takes at least this many bytes: its tag, its end tag, and the counts after that.
const LEVEL_BYTES: usize = 3;

/// Whether objects in a clone are nested more than `levels` deep. False if the clone turns out malformed before that.
pub fn is_deeper_than(clone: &[u8], levels: usize) -> bool {
  // Most clones are too short for it.
  clone.len() > levels.saturating_mul(LEVEL_BYTES)
    && measure(clone, levels).is_ok_and(|deeper| deeper)
}

/// What encloses the value that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
  /// Values, up to a tag that ends it.
  Values,
  /// Parts with tags of their own.
  Error,
}

fn measure(clone: &[u8], levels: usize) -> Result<bool, MalformedError> {
  let mut reader = Reader::new(clone)?;
  let mut open: Vec<Container> = Vec::new();
  // Whether the last tag belongs to the value that follows it.
  let mut is_begun = false;
  loop {
    let tag = reader.tag()?;
    if open.last() == Some(&Container::Error) && !is_begun {
      match tag {
        b'.' => {
          open.pop();
        }
        b'm' | b's' => {
          reader.string()?;
        }
        // The cause is a value.
        b'c' => is_begun = true,
        // The class.
        _ => {}
      }
    } else {
      is_begun = !read(&mut reader, &mut open, tag)?;
    }
    if open.len() > levels {
      return Ok(true);
    }
    if open.is_empty() && !is_begun && reader.peek_tag() != Some(tag::VIEW) {
      return Ok(false);
    }
  }
}

/// Reads a leaf, or opens or closes a container. Returns false if the tag belongs to the value that follows.
fn read(
  reader: &mut Reader<'_>,
  open: &mut Vec<Container>,
  tag: u8,
) -> Result<bool, MalformedError> {
  match tag {
    tag::OBJECT | tag::MAP | tag::SET => open.push(Container::Values),
    tag::DENSE_ARRAY | tag::SPARSE_ARRAY => {
      reader.varint()?;
      open.push(Container::Values);
    }
    tag::ERROR => open.push(Container::Error),
    tag::OBJECT_END | tag::MAP_END | tag::SET_END => {
      reader.varint()?;
      open.pop();
    }
    tag::DENSE_ARRAY_END | tag::SPARSE_ARRAY_END => {
      reader.varint()?;
      reader.varint()?;
      open.pop();
    }
    // A value follows; for a host object, it is the description.
    tag::HOST_OBJECT | tag::OBJECT_COUNT => {
      reader.varint()?;
      return Ok(false);
    }
    tag::UNDEFINED
    | tag::HOLE
    | tag::NULL
    | tag::TRUE
    | tag::FALSE
    | tag::BOXED_TRUE
    | tag::BOXED_FALSE => {}
    tag::INT32 | tag::UINT32 | tag::REFERENCE => {
      reader.varint()?;
    }
    tag::DOUBLE | tag::DATE | tag::BOXED_NUMBER => {
      reader.raw(8)?;
    }
    tag::BIGINT | tag::BOXED_BIGINT => {
      let bits = reader.size()?;
      reader.raw(bits >> 1)?;
    }
    tag::UTF8_STRING | tag::LATIN1_STRING | tag::UTF16_STRING => skip_bytes(reader)?,
    tag::BOXED_STRING => {
      reader.tag()?;
      skip_bytes(reader)?;
    }
    tag::REGEXP => {
      reader.tag()?;
      skip_bytes(reader)?;
      reader.varint()?;
    }
    tag::ARRAY_BUFFER => skip_bytes(reader)?,
    tag::RESIZABLE_ARRAY_BUFFER => {
      let length = reader.size()?;
      reader.size()?;
      reader.raw(length)?;
    }
    tag::VIEW => {
      // Kind, offset and length; flags since version 14.
      for _ in 0..if reader.version() >= 14 { 4 } else { 3 } {
        reader.varint()?;
      }
    }
    _ => return Err(MalformedError),
  }
  Ok(true)
}

fn skip_bytes(reader: &mut Reader<'_>) -> Result<(), MalformedError> {
  let length = reader.length()?;
  reader.raw(length).map(drop)
}

#[cfg(test)]
mod tests {
  use super::*;

  fn nested(levels: usize, begin: &[u8], end: &[u8]) -> Vec<u8> {
    let header = [tag::VERSION, 15];
    [
      &header[..],
      &begin.repeat(levels),
      b"_",
      &end.repeat(levels),
    ]
    .concat()
  }

  #[test]
  fn every_container_counts_as_a_level() {
    let containers: [(&[u8], &[u8]); 7] = [
      (b"A\x01", b"$\x00\x01"),
      (b"o\"\x01k", b"{\x01"),
      (b";I\x02", b":\x02"),
      (b"'", b",\x01"),
      (b"a\x05I\x02", b"@\x01\x05"),
      (b"rTm\"\x01.c", b"."),
      (b"'?\x01\\\x00", b",\x01"),
    ];
    for (begin, end) in containers {
      let clone = nested(50, begin, end);
      assert!(!is_deeper_than(&clone, 50), "{begin:?}");
      assert!(
        is_deeper_than(&clone, 49) || clone.len() <= 49 * LEVEL_BYTES,
        "{begin:?}"
      );
      assert_eq!(measure(&clone, 49), Ok(true), "{begin:?}");
      assert_eq!(measure(&clone, 50), Ok(false), "{begin:?}");
    }
  }

  #[test]
  fn siblings_add_no_depth() {
    let one = b"A\x00$\x00\x00B\x01\x07VB\x00\x01\x00D\0\0\0\0\0\0\0\0R\"\x01a\x00s\"\x01bZ\x10\0\0\0\0\0\0\0\0";
    let many = [
      &[tag::VERSION, 15][..],
      b"A\x70",
      &one.repeat(100),
      b"$\x00\x70",
    ]
    .concat();
    assert_eq!(measure(&many, 2), Ok(false));
    assert_eq!(measure(&many, 1), Ok(true));
  }

  #[test]
  fn truncated_clones_are_not_deep() {
    for length in 0..200 {
      let mut clone = nested(40, b"A\x01", b"$\x00\x01");
      clone.truncate(length);
      let _ = measure(&clone, 1000);
      assert!(!is_deeper_than(&clone, 1000));
    }
  }
}
