use std::sync::mpsc;

/// What the thread that reads input tells the session.
pub enum Event {
  /// A whole input.
  Input(String),
  /// Asks for the names that may follow `path` and a dot.
  Complete {
    path: String,
    reply: mpsc::Sender<Vec<String>>,
  },
  /// Ctrl+C.
  Interrupted,
  /// Ctrl+D, or the end of the pipe.
  Ended,
  Failed(String),
}
