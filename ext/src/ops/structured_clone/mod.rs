//! Structured clones in V8's wire format, on any engine: for those whose own serializer writes
//! another format, which must never reach a file. On V8 it reads what holds host objects: their makers run
//! scripts, and V8's own deserializer must not be half-way through then.
//!
//! It walks values through the engine's ordinary API, so on V8 it does the same work as V8's
//! serializer, and the tests compare the two.

#[cfg(any(feature = "quickjs", test))]
mod inspect;
mod lookups;
mod read;
#[cfg(any(feature = "quickjs", test))]
mod write;

pub(super) use read::deserialize;
#[cfg(any(feature = "quickjs", test))]
pub(super) use write::serialize;

/// How much of the stack a walk may take, in bytes: nested objects are walked by recursion, and an
/// engine that calls a script beyond its own idea of the stack (about a megabyte, for V8) ends the
/// process. V8's own serializer stops where its stack ends.
const MAX_STACK: usize = 400 << 10;

/// Where on the stack a walk has begun.
#[derive(Clone, Copy)]
struct StackLimit(usize);

impl StackLimit {
  fn new() -> Self {
    let here = 0u8;
    Self(&raw const here as usize)
  }

  fn is_reached(self) -> bool {
    let here = 0u8;
    self.0.abs_diff(&raw const here as usize) > MAX_STACK
  }
}

/// The parts of an error: tags of their own.
const ERROR_MESSAGE: u8 = b'm';
const ERROR_CAUSE: u8 = b'c';
const ERROR_STACK: u8 = b's';
const ERROR_END: u8 = b'.';
const ERROR_CLASSES: [(&str, u8); 6] = [
  ("EvalError", b'E'),
  ("RangeError", b'R'),
  ("ReferenceError", b'F'),
  ("SyntaxError", b'S'),
  ("TypeError", b'T'),
  ("URIError", b'U'),
];

// They compare with V8's own.
#[cfg(all(test, not(feature = "quickjs")))]
mod tests;
