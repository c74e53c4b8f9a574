use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use deno_ast::MediaType;
use deno_core::error::ModuleLoaderError;
use deno_core::{
  FastString, ModuleLoadOptions, ModuleLoadReferrer, ModuleLoadResponse, ModuleLoader,
  ModuleSource, ModuleSourceCode, ModuleSpecifier, ModuleType, RequestedModuleType, ResolutionKind,
};
use deno_error::JsErrorBox;

use super::Config;
use super::resolve::{ASSERT_SOURCE, ASSERT_URL, resolve};
use super::transpile::transpile;

/// Loads modules from local files.
pub struct FileLoader {
  config: Option<Config>,
  /// Source maps of transpiled modules, so that stack traces name the original lines.
  source_maps: RefCell<HashMap<String, Vec<u8>>>,
  /// Original sources, by module, so that an error can show the line.
  sources: RefCell<HashMap<String, String>>,
}

impl FileLoader {
  pub fn new(config: Option<Config>) -> Self {
    Self {
      config,
      source_maps: RefCell::default(),
      sources: RefCell::default(),
    }
  }

  fn read(
    &self,
    specifier: &ModuleSpecifier,
    referrer: Option<&ModuleLoadReferrer>,
    requested: &RequestedModuleType,
  ) -> Result<ModuleSource, ModuleLoaderError> {
    if specifier.as_str() == ASSERT_URL {
      let code = ModuleSourceCode::String(FastString::from_static(ASSERT_SOURCE));
      return Ok(ModuleSource::new(
        ModuleType::JavaScript,
        code,
        specifier,
        None,
      ));
    }
    let path = specifier
      .to_file_path()
      .map_err(|()| JsErrorBox::type_error(format!("Invalid file path: {specifier}")))?;
    let from = referrer.map_or(String::new(), |referrer| {
      format!(
        "\n    at {}:{}:{}",
        referrer.specifier, referrer.line_number, referrer.column_number
      )
    });
    let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
      std::io::ErrorKind::NotFound => {
        JsErrorBox::type_error(format!("Module not found \"{specifier}\".{from}"))
      }
      _ => JsErrorBox::type_error(format!("Unable to load {specifier}: {error}.{from}")),
    })?;
    let media_type = MediaType::from_specifier(specifier);
    let source = String::from_utf8(bytes).map_err(|_| {
      JsErrorBox::type_error(format!(
        "Unable to load {specifier}: it is not UTF-8.{from}"
      ))
    })?;
    // A byte-order mark is no part of the source.
    let source = match source.strip_prefix('\u{feff}') {
      Some(rest) => rest.to_owned(),
      None => source,
    };
    if media_type == MediaType::Json {
      if *requested != RequestedModuleType::Json {
        return Err(JsErrorBox::type_error(format!(
          "Expected a JavaScript or TypeScript module, but identified a Json module. Consider \
           importing Json modules with an import attribute with the type of \"json\".\n  \
           Specifier: {specifier}{from}"
        )));
      }
      let code = ModuleSourceCode::String(source.into());
      return Ok(ModuleSource::new(ModuleType::Json, code, specifier, None));
    }
    self
      .sources
      .borrow_mut()
      .insert(specifier.to_string(), source.clone());
    let transpiled = transpile(specifier, media_type, source)?;
    if let Some(source_map) = transpiled.source_map {
      self
        .source_maps
        .borrow_mut()
        .insert(specifier.to_string(), source_map);
    }
    let code = ModuleSourceCode::String(transpiled.code.into());
    Ok(ModuleSource::new(
      ModuleType::JavaScript,
      code,
      specifier,
      None,
    ))
  }
}

impl ModuleLoader for FileLoader {
  fn resolve(
    &self,
    specifier: &str,
    referrer: &str,
    _kind: ResolutionKind,
  ) -> Result<ModuleSpecifier, ModuleLoaderError> {
    resolve(self.config.as_ref(), specifier, referrer)
  }

  fn load(
    &self,
    specifier: &ModuleSpecifier,
    referrer: Option<&ModuleLoadReferrer>,
    options: ModuleLoadOptions,
  ) -> ModuleLoadResponse {
    // A local file is read faster than a task is made for it.
    ModuleLoadResponse::Sync(self.read(specifier, referrer, &options.requested_module_type))
  }

  fn get_source_map(&self, file_name: &str) -> Option<Cow<'_, [u8]>> {
    self
      .source_maps
      .borrow()
      .get(file_name)
      .cloned()
      .map(Cow::Owned)
  }

  fn get_source_mapped_source_line(&self, file_name: &str, line_number: usize) -> Option<String> {
    let sources = self.sources.borrow();
    sources
      .get(file_name)?
      .lines()
      .nth(line_number)
      .map(str::to_owned)
  }
}
