use std::sync::mpsc;

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Result};
use tokio::sync::mpsc::UnboundedSender;

use super::event::Event;
use super::source;

/// Keywords that complete a name at the start of an expression.
const WORDS: [&str; 14] = [
  "async", "await", "class", "const", "delete", "false", "for", "function", "import", "let", "new",
  "null", "true", "typeof",
];

/// Answers the line editor's questions: is the input complete, and which names fit here?
pub struct Helper {
  events: UnboundedSender<Event>,
}

impl Helper {
  pub fn new(events: UnboundedSender<Event>) -> Self {
    Self { events }
  }
}

impl Completer for Helper {
  type Candidate = String;

  fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
    let (path, begun) = before(&line[..at]);
    let (reply, answer) = mpsc::channel();
    let asked = self.events.send(Event::Complete {
      path: path.to_owned(),
      reply,
    });
    let mut names = match asked {
      Ok(()) => answer.recv().unwrap_or_default(),
      Err(_) => Vec::new(),
    };
    if path.is_empty() {
      names.extend(WORDS.map(str::to_owned));
    }
    names.retain(|name| name.starts_with(begun) && is_name(name));
    names.sort();
    names.dedup();
    Ok((at - begun.len(), names))
  }
}

impl Validator for Helper {
  fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
    Ok(if source::is_complete(context.input()) {
      ValidationResult::Valid(None)
    } else {
      ValidationResult::Incomplete
    })
  }
}

impl Hinter for Helper {
  type Hint = String;
}
impl Highlighter for Helper {}
impl rustyline::Helper for Helper {}

/// The chain of names before the last dot, and the name that was begun after it.
fn before(line: &str) -> (&str, &str) {
  let chain = line
    .rfind(|c: char| !is_part(c) && c != '.')
    .map_or(line, |at| {
      let rest = &line[at..];
      &rest[rest.chars().next().map_or(0, char::len_utf8)..]
    });
  match chain.rsplit_once('.') {
    // What is before the dot is no chain of names: f().x, 1.x
    Some((path, begun)) if path.split('.').all(is_name) => (path, begun),
    Some((_, begun)) => ("undefined", begun),
    None => ("", chain),
  }
}

fn is_part(c: char) -> bool {
  c.is_alphanumeric() || c == '_' || c == '$'
}

fn is_name(text: &str) -> bool {
  !text.is_empty() && !text.starts_with(|c: char| c.is_numeric()) && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
  use super::before;

  #[test]
  fn the_name_under_the_cursor() {
    assert_eq!(before("await kv.ge"), ("kv", "ge"));
    assert_eq!(before("Deno.Kv.prototype."), ("Deno.Kv.prototype", ""));
    assert_eq!(before("f(str"), ("", "str"));
    assert_eq!(before("f().x"), ("undefined", "x"));
    assert_eq!(before("é→glob"), ("", "glob"));
    assert_eq!(before(""), ("", ""));
  }
}
