//! The database that a command works on, and the commands that look into one: `kv get`, `list`, `set`,
//! `delete`.

mod commands;
mod named;

pub use commands::{Request, run};
pub use named::NamedDatabase;
