//! Makes the same random calls on `kv` and on the real Deno, and compares every answer.

use anyhow::{Result, bail, ensure};

use crate::program::Program;

/// Errors that the two word differently: ours first, then Deno's, which exposes its internals.
const OTHER_WORDS: [(&str, &str); 2] = [
  (
    "TypeError: consistency must be \"strong\" or \"eventual\": received \"none\"",
    "TypeError: unknown variant `none`, expected `strong` or `eventual`",
  ),
  (
    "TypeError: versionstamp must be a string or null: received number",
    "TypeError: serde_v8 error: invalid type; expected: string, got: Number",
  ),
];

/// Runs the same operations on both programs.
///
/// # Errors
/// An answer differs; the message has the call and both answers.
pub fn run(kv: &Program, deno: &Program, seed: u64, operations: u64) -> Result<usize> {
  let arguments = [seed.to_string(), operations.to_string()];
  let run = |program: &Program| {
    let folder = tempfile::tempdir()?;
    program.run("differential.js", folder.path(), &arguments)
  };
  let (ours, theirs) = (run(kv)?, run(deno)?);
  compare(&ours, &theirs).map_err(|error| error.context(format!("seed {seed}")))
}

fn compare(ours: &str, theirs: &str) -> Result<usize> {
  let (ours, theirs): (Vec<_>, Vec<_>) = (ours.lines().collect(), theirs.lines().collect());
  for (ours, theirs) in ours.iter().zip(&theirs) {
    if ours != theirs && !is_other_words(ours, theirs) {
      bail!("they differ:\n  kv:   {ours}\n  Deno: {theirs}");
    }
  }
  ensure!(
    ours.len() == theirs.len(),
    "kv printed {} lines, Deno {}",
    ours.len(),
    theirs.len()
  );
  Ok(ours.len())
}

fn is_other_words(ours: &str, theirs: &str) -> bool {
  OTHER_WORDS.iter().any(|(our_words, their_words)| {
    let (Some(ours), Some(theirs)) = (
      ours.strip_suffix(our_words),
      theirs.strip_suffix(their_words),
    ) else {
      return false;
    };
    ours == theirs
  })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
  use super::*;

  #[test]
  fn a_difference_is_noticed() {
    assert_eq!(compare("0 get -> 1\n", "0 get -> 1\n").unwrap(), 1);
    assert!(compare("0 get -> 1\n", "0 get -> 2\n").is_err());
    assert!(compare("0 get -> 1\n", "0 get -> 1\n1 get -> 1\n").is_err());
    let [(ours, theirs), ..] = OTHER_WORDS;
    let line = |words| format!("0 get -> {words}");
    assert!(compare(&line(ours), &line(theirs)).is_ok());
    assert!(compare(&line(theirs), &line(ours)).is_err());
  }
}
