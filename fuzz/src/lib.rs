//! The bodies of the targets: those of ext/tests/garbage.rs.

#[path = "../../ext/tests/garbage/mod.rs"]
mod garbage;

pub use garbage::*;
