//! The numbers that the ops and the JavaScript module agree on: `js/protocol.js` has the same.

macro_rules! protocol {
  ($($(#[$doc:meta])* $name:ident: $type:ty = $value:literal;)*) => {
    $($(#[$doc])* pub(super) const $name: $type = $value;)*

    #[cfg(test)]
    const ALL: &[(&str, u32)] = &[$((stringify!($name), $value)),*];
  };
}

protocol! {
  /// Kinds of values: the encoding numbers of the database. A structured clone in V8's wire format.
  KIND_V8: i32 = 1;
  /// A `Deno.KvU64`.
  KIND_U64: i32 = 2;
  /// A `Uint8Array`, kept as it is.
  KIND_BYTES: i32 = 3;

  /// Types of mutations.
  SET: i32 = 0;
  DELETE: i32 = 1;
  SUM: i32 = 2;
  MIN: i32 = 3;
  MAX: i32 = 4;

  /// Classes of objects, for an engine whose interface goes by what an object says of itself. A plain object, or one of
  /// a script's own class.
  #[cfg(any(feature = "quickjs", test))]
  CLASS_OBJECT: i32 = 0;
  #[cfg(any(feature = "quickjs", test))]
  CLASS_DATE: i32 = 1;
  #[cfg(any(feature = "quickjs", test))]
  CLASS_MAP: i32 = 2;
  #[cfg(any(feature = "quickjs", test))]
  CLASS_SET: i32 = 3;
  #[cfg(any(feature = "quickjs", test))]
  CLASS_REGEXP: i32 = 4;
  /// An object around a primitive.
  #[cfg(any(feature = "quickjs", test))]
  CLASS_BOXED: i32 = 5;
  #[cfg(any(feature = "quickjs", test))]
  CLASS_ARRAY_BUFFER: i32 = 6;
  #[cfg(any(feature = "quickjs", test))]
  CLASS_DATA_VIEW: i32 = 7;
  /// An object with a state that a clone can't take.
  #[cfg(any(feature = "quickjs", test))]
  CLASS_OPAQUE: i32 = 8;

  /// Fields of an entry, which cross flat, in one array for all entries: key, value, versionstamp.
  ENTRY_FIELDS: usize = 3;
  /// Of a check: key, versionstamp.
  CHECK_FIELDS: u32 = 2;
  /// Of a mutation: key, type, kind of the value, value, `expireIn`.
  MUTATION_FIELDS: u32 = 5;
  /// Of a message: payload, delay, `keysIfUndelivered`, `backoffSchedule`.
  ENQUEUE_FIELDS: u32 = 4;
}

#[cfg(test)]
mod tests {
  use super::ALL;

  #[test]
  fn javascript_has_the_same_numbers() {
    let source = include_str!("../../js/protocol.js");
    let constants: Vec<(&str, u32)> = source
      .lines()
      .filter_map(|line| line.strip_prefix("export const "))
      .map(|line| {
        let (name, value) = line.trim_end_matches(';').split_once(" = ").unwrap();
        (name, value.parse().unwrap())
      })
      .collect();
    assert_eq!(constants, ALL);
  }
}
