//! How to connect, for whoever has started the server.

use std::net::SocketAddr;

use crate::ServeArgs;
use crate::token::Source;

/// The lines that a server prints when it is ready.
pub(crate) fn how_to_connect(args: &ServeArgs, addr: SocketAddr, source: &Source) -> String {
  let scheme = if args.tls_cert.is_some() {
    "https"
  } else {
    "http"
  };
  // An address for all interfaces is none to connect to.
  let host = match addr.ip().is_unspecified() {
    true => format!("<this machine>:{}", addr.port()),
    false => addr.to_string(),
  };
  let name = if args.dir.is_some() { "/NAME" } else { "" };
  let url = format!("{scheme}://{host}{name}");
  let token = match source {
    Source::Variable => "  token  the value of DENO_KV_ACCESS_TOKEN here\n".into(),
    Source::Made(file) => format!(
      "  token  export DENO_KV_ACCESS_TOKEN=$(cat {})\n",
      quoted(&file.display().to_string())
    ),
    Source::File(file) => format!(
      "  token  export DENO_KV_ACCESS_TOKEN=…, one of {}\n",
      file.display()
    ),
  };
  format!(
    "Serving {} at {url}\n{token}  \
     Deno   const kv = await Deno.openKv(\"{url}\");\n  \
     Node   import {{ openKv }} from \"@deno/kv\"; const kv = await openKv(\"{url}\");\n  \
     kv     kv list --db {url}",
    crate::open::shown(args)
  )
}

/// A word for the shell.
fn quoted(text: &str) -> String {
  let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
  match text.chars().all(is_plain) {
    true => text.to_owned(),
    false => format!("'{}'", text.replace('\'', "'\\''")),
  }
}

#[cfg(test)]
mod tests {
  use super::quoted;

  #[test]
  fn paths_are_words_for_the_shell() {
    assert_eq!(quoted("data/kv.sqlite3.token"), "data/kv.sqlite3.token");
    assert_eq!(quoted("it's here"), "'it'\\''s here'");
  }
}
