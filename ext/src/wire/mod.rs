//! V8's wire format for structured clones, with no engine: what a value of encoding 1 is made of.
//!
//! The format is V8's own (`src/objects/value-serializer.cc`). Version 15 is written, which every
//! Deno with KV reads; up to 16 is read, which differs in nothing but sizes beyond 4 GB. A clone is a header, `ff` and the version, then one value.
//! A value is a tag, a byte, and its data; integers are LEB128 varints, lengths are in bytes.
//!
//! | tag | value | data |
//! | --- | --- | --- |
//! | `_` `0` `T` `F` | undefined, null, true, false | |
//! | `I` | integer | 32 bits, zigzag varint |
//! | `U` | unsigned integer (read only) | varint |
//! | `N` | number | little-endian double |
//! | `Z` | bigint | varint: bit 0 negative, the rest the length; little-endian magnitude, whole 8-byte digits |
//! | `"` `c` `S` | string | varint length, Latin-1 / UTF-16LE at an even offset / UTF-8 (read only) |
//! | `o` … `{` | object | keys and values in turn, then their count |
//! | `A` … `$` | dense array | length, elements, keys and values, then count of those and length |
//! | `a` … `@` | sparse array | length, keys and values, then their count and the length |
//! | `;` … `:` | Map | keys and values in turn, then their number |
//! | `'` … `,` | Set | values, then their number |
//! | `D` | Date | little-endian double |
//! | `y` `x` `n` `z` `s` | boxed true, false, number, bigint, string | as the primitive |
//! | `R` | RegExp | string, varint of flags |
//! | `B` `~` | ArrayBuffer, resizable one | varint length (and maximum), bytes |
//! | `V` | view of the buffer just before | kind, varints offset, length, flags |
//! | `r` | error | parts, each a tag of its own, up to `.` |
//! | `\` | host object | what its owner writes |
//! | `^` | an object met before | varint: which, in the order in which objects begin |
//!
//! `00` before a tag is padding. A view comes after its buffer, and counts as a later object.

mod depth;
mod reader;
mod writer;

pub(crate) use depth::is_deeper_than;
pub(crate) use reader::{MalformedError, Reader};
pub(crate) use writer::Writer;

/// The version that is written.
const VERSION: u32 = 15;
/// The newest version that is read.
const NEWEST_VERSION: u32 = 16;

/// The tags, by name.
pub(crate) mod tag {
  pub(crate) const VERSION: u8 = 0xff;
  pub(crate) const PADDING: u8 = 0;
  /// Stands before a value in very old clones; says nothing.
  pub(crate) const OBJECT_COUNT: u8 = b'?';
  pub(crate) const HOLE: u8 = b'-';
  pub(crate) const UNDEFINED: u8 = b'_';
  pub(crate) const NULL: u8 = b'0';
  pub(crate) const TRUE: u8 = b'T';
  pub(crate) const FALSE: u8 = b'F';
  pub(crate) const INT32: u8 = b'I';
  pub(crate) const UINT32: u8 = b'U';
  pub(crate) const DOUBLE: u8 = b'N';
  pub(crate) const BIGINT: u8 = b'Z';
  pub(crate) const UTF8_STRING: u8 = b'S';
  pub(crate) const LATIN1_STRING: u8 = b'"';
  pub(crate) const UTF16_STRING: u8 = b'c';
  pub(crate) const REFERENCE: u8 = b'^';
  pub(crate) const OBJECT: u8 = b'o';
  pub(crate) const OBJECT_END: u8 = b'{';
  pub(crate) const DENSE_ARRAY: u8 = b'A';
  pub(crate) const DENSE_ARRAY_END: u8 = b'$';
  pub(crate) const SPARSE_ARRAY: u8 = b'a';
  pub(crate) const SPARSE_ARRAY_END: u8 = b'@';
  pub(crate) const DATE: u8 = b'D';
  pub(crate) const BOXED_TRUE: u8 = b'y';
  pub(crate) const BOXED_FALSE: u8 = b'x';
  pub(crate) const BOXED_NUMBER: u8 = b'n';
  pub(crate) const BOXED_BIGINT: u8 = b'z';
  pub(crate) const BOXED_STRING: u8 = b's';
  pub(crate) const REGEXP: u8 = b'R';
  pub(crate) const MAP: u8 = b';';
  pub(crate) const MAP_END: u8 = b':';
  pub(crate) const SET: u8 = b'\'';
  pub(crate) const SET_END: u8 = b',';
  pub(crate) const ARRAY_BUFFER: u8 = b'B';
  pub(crate) const RESIZABLE_ARRAY_BUFFER: u8 = b'~';
  pub(crate) const VIEW: u8 = b'V';
  pub(crate) const ERROR: u8 = b'r';
  pub(crate) const HOST_OBJECT: u8 = b'\\';
}

/// The flags of a regular expression, as bits, with their letters.
pub(crate) const REGEXP_FLAGS: [(char, u32); 8] = [
  ('d', 1 << 7),
  ('g', 1 << 0),
  ('i', 1 << 1),
  ('m', 1 << 2),
  ('s', 1 << 5),
  ('u', 1 << 4),
  ('v', 1 << 8),
  ('y', 1 << 3),
];

#[cfg(test)]
mod tests;
