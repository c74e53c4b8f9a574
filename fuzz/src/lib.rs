//! The bodies of the targets: those of store/tests/garbage.rs.

#[path = "../../store/tests/garbage/mod.rs"]
mod garbage;

pub use garbage::*;
