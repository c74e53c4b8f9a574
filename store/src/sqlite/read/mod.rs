//! Reads: the queries, and the pool of connections that they run on.

pub(crate) mod pool;
mod pooled;
pub(crate) mod query;
