//! ES modules from local files: resolution, loading, and TypeScript to JavaScript.

mod config;
mod loader;
mod resolve;
mod transpile;

pub use config::Config;
pub use loader::FileLoader;
