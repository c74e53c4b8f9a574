//! The database file: by which path it is opened, which file that is, its tables, and connections to it.
//!
//! Nothing here knows what the connections are used for.

pub(crate) mod connect;
pub(crate) mod identity;
pub(crate) mod in_place;
pub(crate) mod in_use;
mod names;
pub(crate) mod path;
pub(crate) mod schema;
