use anyhow::{Context, Result};
use regex::Regex;

/// Which tests to run, by name.
pub enum Filter {
  All,
  Contains(String),
  Matches(Regex),
}

impl Filter {
  /// The filter for a command-line argument: text, or `/a regular expression/`.
  ///
  /// # Errors
  /// The regular expression is malformed.
  pub fn new(text: Option<&str>) -> Result<Self> {
    let Some(text) = text else {
      return Ok(Self::All);
    };
    match text
      .strip_prefix('/')
      .and_then(|rest| rest.strip_suffix('/'))
    {
      Some(pattern) => Regex::new(pattern).map(Self::Matches).context("--filter"),
      None => Ok(Self::Contains(text.into())),
    }
  }

  pub fn includes(&self, name: &str) -> bool {
    match self {
      Self::All => true,
      Self::Contains(text) => name.contains(text.as_str()),
      Self::Matches(regex) => regex.is_match(name),
    }
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  #[test]
  fn text_is_found_anywhere_and_slashes_make_a_pattern() {
    assert!(Filter::new(None).unwrap().includes("x"));
    assert!(Filter::new(Some("an")).unwrap().includes("transfer and"));
    assert!(!Filter::new(Some("/^an/")).unwrap().includes("transfer and"));
    assert!(Filter::new(Some("/(/")).is_err());
  }
}
