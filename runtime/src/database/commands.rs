use std::io::IsTerminal;

use anyhow::{Result, bail};
use deno_core::url::Url;
use serde_json::{Value, json};

use super::NamedDatabase;
use crate::cli::DatabaseArgs;
use crate::worker::{CallArgument, Worker};

/// Evaluates keys and values, which are JavaScript, and prints what is found.
const SHELL: &str = with_screenful!("database/shell.js");

/// One command on a database.
pub struct Request {
  /// The function in shell.js that does it.
  pub function: &'static str,
  /// What it needs, as it was typed.
  pub argument: Value,
  /// Whether it makes the database if there is none.
  pub creates: bool,
}

/// Runs the command; returns the exit code.
pub async fn run(database: &DatabaseArgs, request: Request) -> Result<i32> {
  let named = NamedDatabase::new(database)?;
  if !request.creates {
    named.must_exist()?;
  }
  named.must_be_no_other()?;
  let main_module = match &named.script {
    Some(script) => script.clone(),
    None => Url::parse("kv:shell")?,
  };
  let mut worker = Worker::new(main_module, Vec::new(), |kv| kv)?;
  let shell = worker.functions("kv:shell".into(), SHELL)?;
  let argument = json!({
    "path": named.path,
    "terminal": std::io::stdout().is_terminal(),
    "request": request.argument,
  })
  .to_string();
  let call = worker.start_call_of(&shell, request.function, CallArgument::Text(&argument));
  let answer = worker.text_of(call).await?;
  let answer: Value = serde_json::from_str(&answer)?;
  if let Some(message) = answer["error"].as_str() {
    bail!("{message}");
  }
  Ok(if answer["failed"] == true { 1 } else { 0 })
}
