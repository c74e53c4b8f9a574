//! What `make torture` does to `kv`, and how it checks what is left. `make test` runs a short form of each.

#[cfg(target_os = "linux")]
pub mod beside;
pub mod crash;
pub mod differential;
pub mod history;
pub mod hostile;
#[cfg(target_os = "linux")]
pub mod io_errors;
pub mod lock;
#[cfg(target_os = "linux")]
pub mod power;
pub mod program;
pub mod race;
#[cfg(target_os = "linux")]
pub mod shim;

/// The README's Rust is compiled and run here: a package that is published has no README above it.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
