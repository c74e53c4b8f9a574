//! V8's wire format for structured clones, the contents of values with encoding 1, without an engine.
//!
//! The format is V8's own (`src/objects/value-serializer.cc`). The writer writes version 15, which every Deno with KV
//! reads. The reader accepts versions up to 16, which differs only in sizes beyond 4 GB. A clone is a header (`ff` and
//! the version) and one value. A value is a tag byte and its data; integers are LEB128 varints, lengths are in bytes.
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
//! | `^` | an earlier object | varint: its number, in the order in which objects begin |
//!
//! `00` before a tag is padding. A view comes after its buffer, and counts as a later object.

mod depth;
mod reader;
mod writer;

pub use depth::is_deeper_than;
pub use reader::{MalformedError, Reader};
pub use writer::Writer;

/// The version that is written.
const VERSION: u32 = 15;
/// The newest version that is read.
const NEWEST_VERSION: u32 = 16;

/// The tags, by name.
pub mod tag {
  /// The first byte of a clone; the version follows.
  pub const VERSION: u8 = 0xff;
  /// Aligns what follows; skipped.
  pub const PADDING: u8 = 0;
  /// Precedes a value in very old clones; carries no information.
  pub const OBJECT_COUNT: u8 = b'?';
  /// A hole of a dense array.
  pub const HOLE: u8 = b'-';
  /// `undefined`
  pub const UNDEFINED: u8 = b'_';
  /// `null`
  pub const NULL: u8 = b'0';
  /// `true`
  pub const TRUE: u8 = b'T';
  /// `false`
  pub const FALSE: u8 = b'F';
  /// An integer of 32 bits.
  pub const INT32: u8 = b'I';
  /// An unsigned integer of 32 bits.
  pub const UINT32: u8 = b'U';
  /// A number.
  pub const DOUBLE: u8 = b'N';
  /// A bigint.
  pub const BIGINT: u8 = b'Z';
  /// A string in UTF-8.
  pub const UTF8_STRING: u8 = b'S';
  /// A string in Latin-1.
  pub const LATIN1_STRING: u8 = b'"';
  /// A string in UTF-16, little-endian.
  pub const UTF16_STRING: u8 = b'c';
  /// An object met before.
  pub const REFERENCE: u8 = b'^';
  /// Begins a plain object.
  pub const OBJECT: u8 = b'o';
  /// Ends a plain object.
  pub const OBJECT_END: u8 = b'{';
  /// Begins a dense array.
  pub const DENSE_ARRAY: u8 = b'A';
  /// Ends a dense array.
  pub const DENSE_ARRAY_END: u8 = b'$';
  /// Begins a sparse array.
  pub const SPARSE_ARRAY: u8 = b'a';
  /// Ends a sparse array.
  pub const SPARSE_ARRAY_END: u8 = b'@';
  /// A `Date`.
  pub const DATE: u8 = b'D';
  /// A `Boolean` object that holds true.
  pub const BOXED_TRUE: u8 = b'y';
  /// A `Boolean` object that holds false.
  pub const BOXED_FALSE: u8 = b'x';
  /// A `Number` object.
  pub const BOXED_NUMBER: u8 = b'n';
  /// A `BigInt` object.
  pub const BOXED_BIGINT: u8 = b'z';
  /// A `String` object.
  pub const BOXED_STRING: u8 = b's';
  /// A `RegExp`.
  pub const REGEXP: u8 = b'R';
  /// Begins a `Map`.
  pub const MAP: u8 = b';';
  /// Ends a `Map`.
  pub const MAP_END: u8 = b':';
  /// Begins a `Set`.
  pub const SET: u8 = b'\'';
  /// Ends a `Set`.
  pub const SET_END: u8 = b',';
  /// An `ArrayBuffer`.
  pub const ARRAY_BUFFER: u8 = b'B';
  /// A resizable `ArrayBuffer`.
  pub const RESIZABLE_ARRAY_BUFFER: u8 = b'~';
  /// A view of the buffer just before.
  pub const VIEW: u8 = b'V';
  /// An error.
  pub const ERROR: u8 = b'r';
  /// An object of the embedder's.
  pub const HOST_OBJECT: u8 = b'\\';
}

/// The flags of a regular expression, as bits, with their letters.
pub const REGEXP_FLAGS: [(char, u32); 8] = [
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
