//! The write-ahead log: its index in shared memory, room made in it ahead of commits, checkpoints, and the commits of
//! other processes, which the index counts.

pub(crate) mod checkpoint;
pub(crate) mod foreign_commits;
pub(crate) mod index;
pub(crate) mod preallocation;
