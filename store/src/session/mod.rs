//! What every client does between a caller and an engine, whatever language the caller speaks: the Rust
//! [`Store`](crate::Store) and the ops of `kv_ext` are clients.

mod pages;
mod receiver;
mod states;

pub use receiver::{Handed, Receiver};
pub use states::WatchStates;
