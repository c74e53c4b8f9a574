//! Turns typed input into a script that the engine evaluates.
//!
//! The input may be TypeScript, may `await` and import, and may declare a name again. deno_core offers no mode for that
//! on both engines, so the input becomes the body of an async function. Its top-level declarations become assignments
//! to global variables. The function returns the value of the last expression inside an object, so that a promise is
//! not awaited.

use deno_ast::swc::ast::{Decl, ObjectPatProp, Pat, Stmt, VarDecl, VarDeclKind};
use deno_ast::swc::parser::error::SyntaxError;
use deno_ast::{
  DecoratorsTranspileOption, EmitOptions, MediaType, ModuleItemRef, ParseDiagnostic, ParseParams,
  ParsedSource, SourceMapOption, SourceRangedForSpanned, StartSourcePos, TranspileModuleOptions,
  TranspileOptions,
};
use deno_core::url::Url;

/// The script for an input; its value is a promise of `{ value }`, or of undefined.
///
/// # Errors
/// The message of a syntax error, with its place.
pub fn script(input: &str) -> Result<String, String> {
  let code = javascript(input)?;
  let parsed = parse(&code, MediaType::JavaScript).map_err(|error| error.to_string())?;
  let program = parsed.program_ref();
  let items: Vec<_> = program.body().collect();
  let mut script = Script {
    parsed: &parsed,
    names: Vec::new(),
    hoisted: String::new(),
    body: String::new(),
  };
  for (index, item) in items.iter().enumerate() {
    script.push(*item, index + 1 == items.len())?;
  }
  let declared = match script.names.as_slice() {
    [] => String::new(),
    names => format!("var {};\n", names.join(", ")),
  };
  Ok(format!(
    "{declared}(async () => {{\n{}{}}})()",
    script.hoisted, script.body
  ))
}

/// Whether the input is complete: no bracket, template or comment is left open.
pub fn is_complete(input: &str) -> bool {
  match parse_input(input) {
    // Some errors don't keep the parser from going on.
    Ok(parsed) => !parsed
      .diagnostics()
      .iter()
      .any(|error| is_at_end(error, input)),
    Err(error) => !is_at_end(&error, input),
  }
}

/// Whether the parser reached the end and expected more.
fn is_at_end(error: &ParseDiagnostic, input: &str) -> bool {
  let place = error
    .range()
    .as_byte_range(StartSourcePos::START_SOURCE_POS);
  place.start >= input.trim_end().len()
    || matches!(
      error.kind(),
      SyntaxError::Eof | SyntaxError::UnterminatedTpl | SyntaxError::UnterminatedBlockComment
    )
}

fn parse(text: &str, media_type: MediaType) -> Result<ParsedSource, ParseDiagnostic> {
  #[allow(
    clippy::expect_used,
    reason = "a constant, which the tests below parse"
  )]
  let specifier = Url::parse("kv:repl").expect("a scheme and a path");
  deno_ast::parse_module(ParseParams {
    specifier,
    text: text.into(),
    media_type,
    capture_tokens: false,
    scope_analysis: false,
    maybe_syntax: None,
  })
}

/// Parses the input. An opening brace at its start begins an object literal if possible, not a block.
fn parse_input(input: &str) -> Result<ParsedSource, ParseDiagnostic> {
  let trimmed = input.trim();
  if trimmed.starts_with('{')
    && !trimmed.ends_with(';')
    && let Ok(parsed) = parse(&format!("({trimmed}\n)"), MediaType::TypeScript)
  {
    return Ok(parsed);
  }
  parse(input, MediaType::TypeScript)
}

/// What is typed, without its types.
fn javascript(input: &str) -> Result<String, String> {
  let emitted = parse_input(input)
    .map_err(|error| error.to_string())?
    .transpile(
      &TranspileOptions {
        decorators: DecoratorsTranspileOption::Ecma,
        // Keeps unused imports: the next input may use them.
        verbatim_module_syntax: true,
        var_decl_imports: true,
        ..TranspileOptions::default()
      },
      &TranspileModuleOptions::default(),
      &EmitOptions {
        source_map: SourceMapOption::None,
        ..EmitOptions::default()
      },
    )
    .map_err(|error| error.to_string())?;
  Ok(emitted.into_source().text)
}

struct Script<'a> {
  parsed: &'a ParsedSource,
  /// Variables that the input declares at its top.
  names: Vec<String>,
  /// The function's body: what comes first in it, and the rest.
  hoisted: String,
  body: String,
}

impl<'a> Script<'a> {
  fn text(&self, node: &impl SourceRangedForSpanned) -> &'a str {
    node.text_fast(self.parsed.text_info_lazy())
  }

  fn line(&mut self, text: &str) {
    self.body.push_str(text);
    self.body.push('\n');
  }

  fn push(&mut self, item: ModuleItemRef<'_>, is_last: bool) -> Result<(), String> {
    match item {
      ModuleItemRef::Stmt(Stmt::Decl(decl)) => self.declaration(decl),
      ModuleItemRef::Stmt(Stmt::Expr(statement)) if is_last => {
        let value = self.text(&*statement.expr);
        self.line(&format!(
          "return {{ __proto__: null, value: ({value}\n) }};"
        ));
      }
      ModuleItemRef::Stmt(statement) => {
        let text = self.text(statement);
        self.line(text);
      }
      // Imports have become calls, and exports plain declarations.
      ModuleItemRef::ModuleDecl(_) => {
        return Err("SyntaxError: this can't be evaluated at a prompt".into());
      }
    }
    Ok(())
  }

  fn declaration(&mut self, decl: &Decl) {
    match decl {
      Decl::Var(variables) => self.variables(variables),
      Decl::Fn(function) => {
        let name = function.ident.sym.to_string();
        let text = self.text(function);
        // It may be called before the line that declares it.
        self.hoisted.push_str(&format!("{name} = {text};\n"));
        self.names.push(name);
      }
      Decl::Class(class) => {
        let name = class.ident.sym.to_string();
        let text = self.text(class);
        self.line(&format!("{name} = {text};"));
        self.names.push(name);
      }
      other => {
        let text = self.text(other);
        self.line(text);
      }
    }
  }

  fn variables(&mut self, variables: &VarDecl) {
    for variable in &variables.decls {
      names_in(&variable.name, &mut self.names);
      let name = self.text(&variable.name);
      match &variable.init {
        Some(init) => {
          let init = self.text(&**init);
          self.line(&format!("({name} = {init}\n);"));
        }
        // `var x` keeps what x was; `let x` is a new one.
        None if variables.kind != VarDeclKind::Var => self.line(&format!("{name} = undefined;")),
        None => {}
      }
    }
  }
}

/// The variables that a pattern declares.
fn names_in(pattern: &Pat, names: &mut Vec<String>) {
  match pattern {
    Pat::Ident(ident) => names.push(ident.sym.to_string()),
    Pat::Array(array) => {
      for element in array.elems.iter().flatten() {
        names_in(element, names);
      }
    }
    Pat::Object(object) => {
      for property in &object.props {
        match property {
          ObjectPatProp::KeyValue(pair) => names_in(&pair.value, names),
          ObjectPatProp::Assign(short) => names.push(short.key.sym.to_string()),
          ObjectPatProp::Rest(rest) => names_in(&rest.arg, names),
        }
      }
    }
    Pat::Rest(rest) => names_in(&rest.arg, names),
    Pat::Assign(with_default) => names_in(&with_default.left, names),
    Pat::Expr(_) | Pat::Invalid(_) => {}
  }
}

#[cfg(test)]
mod tests {
  use super::*;

  fn lines(input: &str) -> Vec<String> {
    let script = script(input).unwrap();
    script.lines().map(|line| line.trim().to_owned()).collect()
  }

  #[test]
  fn declarations_are_global_and_last_value_returned() {
    assert_eq!(
      lines("const a = await f(), { b, c: [d, ...e], g = 2 } = x; a"),
      [
        "var a, b, d, e, g;",
        "(async () => {",
        "(a = await f()",
        ");",
        "({ b, c: [d, ...e], g = 2 } = x",
        ");",
        "return { __proto__: null, value: (a",
        ") };",
        "})()"
      ]
    );
    assert_eq!(lines("function f() {}\nclass C {}")[0], "var f, C;");
    assert_eq!(lines("let x: number;")[2], "x = undefined;");
  }

  #[test]
  fn an_object_is_an_object_and_types_are_dropped() {
    let object = script("{ a: 1 }").unwrap();
    assert!(
      object.contains("return") && object.contains("a: 1"),
      "{object}"
    );
    assert!(!script("x as string").unwrap().contains("string"));
    assert!(script("export const a = 1").unwrap().starts_with("var a;"));
    let import = script("import { a } from './b.ts'").unwrap();
    assert!(
      import.starts_with("var a;") && import.contains("await import(\"./b.ts\")"),
      "{import}"
    );
  }

  #[test]
  fn what_is_wrong_is_an_error_with_its_place() {
    let error = script("1 +* 2").unwrap_err();
    assert!(error.contains("1 +* 2"), "{error}");
  }

  #[test]
  fn an_input_is_complete_when_nothing_is_open() {
    for complete in [
      "", "1", "f(1)", "{ a: 1 }", "`a${b}`", ")", "1 +* 2", "'abc",
    ] {
      assert!(is_complete(complete), "{complete}");
    }
    for open in [
      "f(",
      "{ a: [1,",
      "`abc",
      "/* abc",
      "function f() {",
      "a +",
      "if (a)\n",
    ] {
      assert!(!is_complete(open), "{open}");
    }
  }
}
