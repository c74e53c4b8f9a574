use deno_core::url::Url;
use deno_core::{ModuleSpecifier, resolve_import};
use deno_error::JsErrorBox;

use super::Config;

/// The assertion library that is built in, under the name it has in the module graph.
pub const ASSERT_URL: &str = "kv:std/assert";
pub const ASSERT_SOURCE: &str = include_str!("../builtin/assert.js");

/// The URL of a module that `referrer` imports as `specifier`.
///
/// # Errors
/// The specifier means nothing, or names a module that is not on this machine.
pub fn resolve(
  config: Option<&Config>,
  specifier: &str,
  referrer: &str,
) -> Result<ModuleSpecifier, JsErrorBox> {
  let mapped = match (config, Url::parse(referrer)) {
    (Some(config), Ok(referrer_url)) => config.import_map.resolve(specifier, &referrer_url).ok(),
    _ => None,
  };
  let url = match mapped {
    Some(url) => url,
    None if is_assert(specifier) => ASSERT_URL.parse().map_err(JsErrorBox::from_err)?,
    None => match resolve_import(specifier, referrer) {
      Ok(url) => url,
      Err(_) if is_bare(specifier) => return Err(bare(specifier, referrer)),
      Err(error) => return Err(JsErrorBox::from_err(error)),
    },
  };
  match url.scheme() {
    "file" => Ok(url),
    "kv" if url.as_str() == ASSERT_URL => Ok(url),
    _ if is_assert(url.as_str()) => ASSERT_URL.parse().map_err(JsErrorBox::from_err),
    _ => Err(remote(&url, referrer)),
  }
}

/// `@std/assert`, with or without `jsr:` and a version.
fn is_assert(specifier: &str) -> bool {
  let name = specifier.strip_prefix("jsr:").unwrap_or(specifier);
  let name = name.strip_prefix('/').unwrap_or(name);
  name
    .strip_prefix("@std/assert")
    .is_some_and(|version| version.is_empty() || version.starts_with('@') && !version.contains('/'))
}

fn is_bare(specifier: &str) -> bool {
  !specifier.starts_with('.') && !specifier.starts_with('/') && Url::parse(specifier).is_err()
}

fn bare(specifier: &str, referrer: &str) -> JsErrorBox {
  JsErrorBox::type_error(format!(
    "Import \"{specifier}\" not a dependency: map it to a local file under \"imports\" in \
     deno.json\n    at {referrer}"
  ))
}

fn remote(url: &Url, referrer: &str) -> JsErrorBox {
  let what = match url.scheme() {
    "http" | "https" => "Remote modules are",
    "npm" => "npm packages are",
    "jsr" => "JSR packages, but for jsr:@std/assert, are",
    "node" => "Node's built-in modules are",
    _ => "Modules of this scheme are",
  };
  JsErrorBox::type_error(format!(
    "{what} not supported: {url}: keep a copy in your project (deno vendor, deno install) and map \
     the name to it under \"imports\" in deno.json\n    at {referrer}"
  ))
}

#[cfg(test)]
mod tests {
  use super::*;

  fn resolve(specifier: &str) -> Result<String, String> {
    super::resolve(None, specifier, "file:///a/b.ts")
      .map(|url| url.to_string())
      .map_err(|error| error.to_string())
  }

  #[test]
  fn relative_paths_and_the_built_in_library() {
    assert_eq!(resolve("./c.ts").unwrap(), "file:///a/c.ts");
    for name in [
      "@std/assert",
      "jsr:@std/assert",
      "jsr:@std/assert@1",
      "jsr:/@std/assert@^1.0.0",
    ] {
      assert_eq!(resolve(name).unwrap(), ASSERT_URL, "{name}");
    }
  }

  #[test]
  fn remote_modules_are_refused_with_advice() {
    for (name, what) in [
      ("https://deno.land/x.ts", "Remote modules"),
      ("npm:chalk@5", "npm packages"),
      ("jsr:@std/path", "JSR packages"),
      ("node:fs", "Node's built-in modules"),
      ("chalk", "not a dependency"),
      ("@std/assertion", "not a dependency"),
    ] {
      let error = resolve(name).unwrap_err();
      assert!(
        error.contains(what) && error.contains("deno.json"),
        "{name}: {error}"
      );
    }
  }
}
