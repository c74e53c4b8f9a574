//! Where access tokens come from.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kv_connect::server::{Token, Tokens};
use uuid::Uuid;

use crate::ServeArgs;

const VARIABLE: &str = "DENO_KV_ACCESS_TOKEN";

/// Where the tokens of a server come from.
#[derive(Debug)]
pub(crate) enum Source {
  /// A file that the operator has named.
  File(PathBuf),
  /// The environment.
  Variable,
  /// A file beside the database, with a token that a server has made.
  Made(PathBuf),
}

impl Source {
  pub(crate) fn of(args: &ServeArgs) -> Self {
    if let Some(file) = &args.token_file {
      return Self::File(file.clone());
    }
    if std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()) {
      return Self::Variable;
    }
    Self::Made(match (&args.file, &args.dir) {
      (_, Some(folder)) => folder.join(".token"),
      (file, None) => {
        let mut name = file.clone().unwrap_or_default().into_os_string();
        name.push(".token");
        name.into()
      }
    })
  }

  /// Reads the tokens; one that is to be made is made if it is not there.
  pub(crate) fn read(&self) -> Result<Tokens> {
    match self {
      Self::File(file) => read_file(file),
      Self::Variable => {
        let secret = std::env::var(VARIABLE).context(VARIABLE)?;
        Ok(Tokens::new([Token::new(&secret).context(VARIABLE)?]))
      }
      Self::Made(file) => {
        if !file.exists() {
          make(file)
            .with_context(|| format!("an access token could not be kept in {}", file.display()))?;
        }
        read_file(file)
      }
    }
  }
}

fn read_file(file: &Path) -> Result<Tokens> {
  let context = || format!("the token file {}", file.display());
  let text = fs::read_to_string(file).with_context(context)?;
  Tokens::parse(&text).with_context(context)
}

/// Makes a token of 244 random bits, for the owner's eyes only.
fn make(file: &Path) -> std::io::Result<()> {
  let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
  let mut options = fs::OpenOptions::new();
  options.write(true).create_new(true);
  #[cfg(unix)]
  std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
  writeln!(options.open(file)?, "{secret}")
}
