use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use deno_core::url::Url;
use import_map::{ImportMap, ImportMapOptions};
use serde_json::{Map, Value};

/// What a project's `deno.json` says about imports.
pub struct Config {
  pub import_map: ImportMap,
}

impl Config {
  /// The configuration for a script: that of the nearest `deno.json` or `deno.jsonc` in its folder
  /// or above it.
  ///
  /// # Errors
  /// The file can't be read or understood.
  pub fn find(script: &Url) -> Result<Option<Self>> {
    let Ok(script) = script.to_file_path() else {
      return Ok(None);
    };
    for folder in script.ancestors().skip(1) {
      for name in ["deno.json", "deno.jsonc"] {
        let path = folder.join(name);
        if path.is_file() {
          return Self::read(&path)
            .map(Some)
            .with_context(|| path.display().to_string());
        }
      }
    }
    Ok(None)
  }

  fn read(path: &Path) -> Result<Self> {
    let config = parse(path)?;
    // An import map in a file of its own takes the place of the fields.
    let (path, mut map) = match config.get("importMap") {
      Some(Value::String(file)) => {
        let file = path.parent().unwrap_or(Path::new("")).join(file);
        let map = parse(&file).with_context(|| file.display().to_string())?;
        (file, map)
      }
      Some(_) => bail!("importMap must be a string"),
      None => (path.to_path_buf(), config),
    };
    map.retain(|key, _| key == "imports" || key == "scopes");
    Ok(Self {
      import_map: build(&path, map)?,
    })
  }
}

fn parse(path: &Path) -> Result<Map<String, Value>> {
  let text = std::fs::read_to_string(path)?;
  let options = jsonc_parser::ParseOptions::default();
  match jsonc_parser::parse_to_serde_value::<Option<Value>>(&text, &options)?.unwrap_or_default() {
    Value::Object(object) => Ok(object),
    Value::Null => Ok(Map::new()),
    _ => bail!("it must hold an object"),
  }
}

fn build(path: &PathBuf, map: Map<String, Value>) -> Result<ImportMap> {
  let base =
    Url::from_file_path(path).map_err(|()| anyhow::anyhow!("not a path that a URL can name"))?;
  let options = ImportMapOptions {
    // As in deno.json: "@std/assert": "jsr:@std/assert@1" also serves "@std/assert/equals".
    expand_imports: true,
    ..Default::default()
  };
  let parsed = import_map::parse_from_value_with_options(base, Value::Object(map), options)?;
  for warning in &parsed.diagnostics {
    eprintln!("warning: {}: {warning}", path.display());
  }
  Ok(parsed.import_map)
}
