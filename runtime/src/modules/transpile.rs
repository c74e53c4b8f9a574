use deno_ast::{
  DecoratorsTranspileOption, EmitOptions, MediaType, ParseParams, SourceMapOption,
  TranspileModuleOptions, TranspileOptions,
};
use deno_core::ModuleSpecifier;
use deno_error::JsErrorBox;

/// JavaScript code, and its source map if it was transpiled.
pub struct Transpiled {
  pub code: String,
  pub source_map: Option<Vec<u8>>,
}

/// JavaScript that the engine understands, from JavaScript or TypeScript.
///
/// # Errors
/// A `SyntaxError` that shows the place.
pub fn transpile(
  specifier: &ModuleSpecifier,
  media_type: MediaType,
  source: String,
) -> Result<Transpiled, JsErrorBox> {
  let needed = matches!(
    media_type,
    MediaType::Jsx | MediaType::TypeScript | MediaType::Mts | MediaType::Cts | MediaType::Tsx
  );
  if !needed {
    return Ok(Transpiled {
      code: source,
      source_map: None,
    });
  }
  let parsed = deno_ast::parse_module(ParseParams {
    specifier: specifier.clone(),
    text: source.into(),
    media_type,
    capture_tokens: false,
    scope_analysis: false,
    maybe_syntax: None,
  })
  .map_err(|error| syntax_error(&error))?;
  let emitted = parsed
    .transpile(
      &TranspileOptions {
        // The decorators of the ECMAScript proposal, as in Deno; engines don't support them yet.
        decorators: DecoratorsTranspileOption::Ecma,
        ..TranspileOptions::default()
      },
      &TranspileModuleOptions::default(),
      &EmitOptions {
        source_map: SourceMapOption::Separate,
        inline_sources: true,
        ..EmitOptions::default()
      },
    )
    .map_err(|error| syntax_error(&error))?
    .into_source();
  Ok(Transpiled {
    code: emitted.text,
    source_map: emitted.source_map.map(String::into_bytes),
  })
}

fn syntax_error(error: &dyn std::fmt::Display) -> JsErrorBox {
  JsErrorBox::new("SyntaxError", error.to_string())
}
