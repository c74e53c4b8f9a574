/// Characters of a name.
const LONGEST: usize = 64;

/// A name that no database can have.
#[derive(Debug, thiserror::Error)]
#[error(
  "invalid database name: a name has up to {LONGEST} letters, digits, '-', '_' and '.', and does not begin with '.'"
)]
pub struct InvalidName;

/// Refuses what is not a plain file name.
pub(super) fn check_name(name: &str) -> Result<(), InvalidName> {
  let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
  let is_name = !name.is_empty()
    && name.len() <= LONGEST
    && !name.starts_with('.')
    && name.bytes().all(is_allowed);
  is_name.then_some(()).ok_or(InvalidName)
}

#[cfg(test)]
mod tests {
  use super::check_name;

  #[test]
  fn names_are_file_names() {
    for name in ["a", "orders-2026_b.c", &"x".repeat(64)] {
      assert!(check_name(name).is_ok(), "{name}");
    }
    for name in [
      "",
      ".",
      "..",
      ".a",
      "a/b",
      "a\\b",
      "a%2fb",
      "é",
      "a b",
      &"x".repeat(65),
    ] {
      assert!(check_name(name).is_err(), "{name}");
    }
  }
}
