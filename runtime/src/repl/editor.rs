//! Reads input from a terminal, with history and completion, or from a pipe. Reading blocks, so it has its own thread,
//! and timers and watches go on meanwhile.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor as LineEditor};
use tokio::sync::mpsc as events;

use super::complete::Helper;
use super::event::Event;
use super::source;

/// The thread that reads.
pub struct Editor {
  turns: mpsc::Sender<()>,
  events: events::UnboundedReceiver<Event>,
  /// It was told to read, and has not read an input yet.
  reads: bool,
}

impl Editor {
  /// Reads from the terminal; keeps what was typed in the file `history`, if there is one.
  pub fn terminal(history: Option<PathBuf>) -> Self {
    Self::start(move |turns, events| {
      if let Err(error) = edit(history, &turns, &events) {
        let _ = events.send(Event::Failed(error.to_string()));
      }
    })
  }

  /// Reads standard input, line by line.
  pub fn pipe() -> Self {
    Self::start(|turns, events| {
      let mut lines = std::io::stdin().lock().lines();
      while turns.recv().is_ok() {
        let mut input = String::new();
        let event = loop {
          match lines.next() {
            None if input.trim().is_empty() => break Event::Ended,
            None => break Event::Input(input),
            Some(Err(error)) => break Event::Failed(error.to_string()),
            Some(Ok(line)) => {
              input.push_str(&line);
              input.push('\n');
              if !input.trim().is_empty() && source::is_complete(&input) {
                break Event::Input(input);
              }
            }
          }
        };
        // Sending fails only after the session has ended.
        let _ = events.send(event);
      }
    })
  }

  fn start(
    read: impl FnOnce(mpsc::Receiver<()>, events::UnboundedSender<Event>) + Send + 'static,
  ) -> Self {
    let (turns, receiver) = mpsc::channel();
    let (sender, events) = events::unbounded_channel();
    thread::spawn(move || read(receiver, sender));
    Self {
      turns,
      events,
      reads: false,
    }
  }

  /// Shows the prompt, unless it is there.
  pub fn go_on(&mut self) {
    if !self.reads {
      // Sending fails after the thread has ended, which `event` reports.
      self.reads = self.turns.send(()).is_ok();
    }
  }

  /// The next event; none after the last.
  pub async fn event(&mut self) -> Option<Event> {
    let event = self.events.recv().await;
    // A question about completion is asked while it reads.
    if !matches!(event, Some(Event::Complete { .. })) {
      self.reads = false;
    }
    event
  }
}

fn edit(
  history: Option<PathBuf>,
  turns: &mpsc::Receiver<()>,
  events: &events::UnboundedSender<Event>,
) -> rustyline::Result<()> {
  let config = Config::builder()
    .max_history_size(10_000)?
    .history_ignore_dups(true)?
    .completion_type(rustyline::CompletionType::List)
    .auto_add_history(true)
    .build();
  let mut editor = LineEditor::<Helper, FileHistory>::with_config(config)?;
  editor.set_helper(Some(Helper::new(events.clone())));
  if let Some(history) = &history {
    // There is none before the first time.
    let _ = editor.load_history(history);
  }
  while turns.recv().is_ok() {
    let event = match editor.readline("> ") {
      Ok(input) => {
        if let Some(history) = &history {
          // A prompt whose history can't be kept is still a prompt.
          let _ = history.parent().map(std::fs::create_dir_all);
          let _ = editor.append_history(history);
        }
        Event::Input(input)
      }
      Err(ReadlineError::Interrupted) => Event::Interrupted,
      Err(ReadlineError::Eof) => Event::Ended,
      Err(error) => Event::Failed(error.to_string()),
    };
    // Sending fails only after the session has ended.
    let _ = events.send(event);
  }
  Ok(())
}
