//! The command `serve`, of `kv` and of `kv-server`.

mod args;
mod hints;
mod open;
mod run;
mod token;

pub use args::{LogFormat, ServeArgs};
pub use run::serve;
