//! Errors as Deno prints them.

use std::borrow::Cow;
use std::fmt::Write;

use deno_core::error::{
  CoreError, CoreErrorKind, ErrorElement, ErrorFormat, JsError, JsStackFrame, format_frame,
};
use deno_terminal::colors;

/// Colours of the parts of a stack frame.
struct Ansi;

impl ErrorFormat for Ansi {
  fn fmt_element(element: ErrorElement, in_extension_code: bool, text: &str) -> Cow<'_, str> {
    use ErrorElement::*;
    if in_extension_code {
      return colors::dimmed_gray(text).to_string().into();
    }
    match element {
      Anonymous | NativeFrame | FileName | EvalOrigin => colors::cyan(text).to_string().into(),
      LineNumber | ColumnNumber => colors::yellow(text).to_string().into(),
      FunctionName | PromiseAll => colors::italic_bold(text).to_string().into(),
      WorkingDirPath => colors::dimmed_gray(text).to_string().into(),
      PlainText => text.into(),
    }
  }
}

/// How much of an error to show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
  /// All of it.
  Full,
  /// The parts that concern a test: without the runtime's own frames, and without an assertion's source line.
  Test,
}

/// An error that a script has thrown.
pub fn format_js_error(error: &JsError, detail: Detail) -> String {
  let mut text = String::new();
  push_error(&mut text, error, detail, false);
  text
}

fn push_error(text: &mut String, error: &JsError, detail: Detail, nested: bool) {
  text.push_str(&error.exception_message);
  for aggregated in error.aggregated.iter().flatten() {
    let mut inner = String::new();
    push_error(&mut inner, aggregated, detail, true);
    for line in inner.trim_start_matches("Uncaught ").lines() {
      // Writing to a string does not fail.
      let _ = write!(text, "\n    {line}");
    }
  }
  // An assertion's message says more than the line in the library that throws it.
  let is_assertion = detail == Detail::Test && error.name.as_deref() == Some("AssertionError");
  if !nested
    && !is_assertion
    && let Some(line) = source_line(error)
  {
    text.push_str(&line);
  }
  for frame in error
    .frames
    .iter()
    .filter(|frame| detail == Detail::Full || !is_internal(frame))
  {
    let _ = write!(text, "\n    at {}", format_frame::<Ansi>(frame, None));
  }
  if let Some(cause) = &error.cause {
    text.push_str("\nCaused by: ");
    let mut inner = String::new();
    push_error(&mut inner, cause, detail, true);
    text.push_str(inner.trim_start_matches("Uncaught "));
  }
}

fn is_internal(frame: &JsStackFrame) -> bool {
  frame
    .file_name
    .as_deref()
    .is_some_and(|name| name.starts_with("ext:"))
}

/// The line that has thrown, with a mark under the place.
fn source_line(error: &JsError) -> Option<String> {
  const LONGEST: usize = 150;
  let line = error
    .source_line
    .as_deref()
    .filter(|line| !line.trim().is_empty())?;
  let column = error
    .source_line_frame_index
    .and_then(|index| error.frames.get(index))
    .and_then(|frame| frame.column_number)
    .and_then(|column| usize::try_from(column).ok())?;
  if line.len() > LONGEST || column == 0 || column > line.chars().count() {
    return None;
  }
  // Tabs stay tabs, so that the mark stands where the eye looks.
  let indent: String = line
    .chars()
    .take(column - 1)
    .map(|c| if c == '\t' { '\t' } else { ' ' })
    .collect();
  Some(format!("\n{line}\n{indent}{}", colors::red("^")))
}

/// Any error that ends a run, with `error: ` before it.
pub fn format_fatal(error: &anyhow::Error) -> String {
  let text = match error.downcast_ref::<CoreError>() {
    Some(error) => format_core_error(error, Detail::Full),
    None => format!("{error:#}"),
  };
  format!("{}: {text}", colors::red_bold("error"))
}

/// An error of the engine or of module loading.
pub fn format_core_error(error: &CoreError, detail: Detail) -> String {
  match error.as_kind() {
    CoreErrorKind::Js(error) => format_js_error(error, detail),
    _ => error.to_string(),
  }
}
