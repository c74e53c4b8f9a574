//! `kv repl`: a prompt with a database open.

mod complete;
mod editor;
mod event;
mod interrupt;
mod session;
mod source;

use std::io::IsTerminal;

use anyhow::Result;
use deno_core::url::Url;

use crate::cli::{DatabaseArgs, ReplArgs};
use crate::database::NamedDatabase;
use crate::paths;
use editor::Editor;
use event::Event;
use session::{End, Session};

/// Evaluates typed or piped input until it ends; returns the exit code, which is 1 if piped input threw.
pub async fn repl(args: ReplArgs) -> Result<i32> {
  let database = NamedDatabase::new(&DatabaseArgs {
    db: args.db,
    script: args.script,
  })?;
  database.must_be_no_other()?;
  let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
  let existed = database.exists();
  let main_module = match &database.script {
    Some(script) => script.clone(),
    None => here()?,
  };
  let mut session = Session::open(main_module, database.path.as_deref(), interactive).await?;
  if interactive {
    let made = if existed { "" } else { ", new" };
    println!(
      "kv {}: `kv` is open, {}{made}. Tab completes, Ctrl+D ends.",
      env!("CARGO_PKG_VERSION"),
      database.name()
    );
  }
  let mut editor = if interactive {
    Editor::terminal(paths::data_dir().ok().map(|dir| dir.join("repl_history")))
  } else {
    Editor::pipe()
  };
  let mut code = 0;
  let mut warned = false;
  loop {
    editor.go_on();
    match session.while_waiting(editor.event()).await {
      Some(Event::Input(input)) => {
        warned = false;
        if session.evaluate(&input).await? == End::Threw && !interactive {
          code = 1;
        }
      }
      Some(Event::Complete { path, reply }) => {
        // Sending fails only if the editor has stopped waiting.
        let _ = reply.send(session.names(&path).await?);
      }
      Some(Event::Interrupted) if warned => break,
      Some(Event::Interrupted) => {
        warned = true;
        println!("(Ctrl+C again, or Ctrl+D, ends)");
      }
      Some(Event::Failed(message)) => anyhow::bail!("the terminal: {message}"),
      Some(Event::Ended) | None => break,
    }
  }
  session.close().await?;
  Ok(code)
}

/// The URL of a module in this folder, which imports in the input resolve against.
fn here() -> Result<Url> {
  let file = std::env::current_dir()?.join("$kv_repl.ts");
  paths::module_url(&file)
}
