//! What travels: the metadata exchange, the messages of the data path, and what of both this crate adds
//! (docs/kv-connect.md).

mod convert;
mod extensions;
mod frame;
mod metadata;
mod scan;

pub mod messages;

pub use convert::{InvalidRequest, InvalidResponse};
pub use extensions::{Extensions, HEADER_ERROR_KIND, HEADER_EXTENSIONS, HEADER_WRITE_ID};
pub use frame::{FrameReader, InvalidFrame, KEEP_ALIVE, frame};
pub use metadata::{
  DatabaseMetadata, Endpoint, EndpointConsistency, InvalidMetadata, MetadataRequest,
};
pub use scan::{too_many, too_many_in_answer};

/// The header with the protocol's version, from version 2 on.
pub const HEADER_VERSION: &str = "x-denokv-version";
/// The header with the database's id, from version 2 on.
pub const HEADER_DATABASE_ID: &str = "x-denokv-database-id";
/// The header with the database's id, of version 1.
pub const HEADER_DOMAIN_ID: &str = "x-transaction-domain-id";

/// The newest version of the protocol.
pub const NEWEST_VERSION: u32 = 3;

/// The content type of messages.
pub const PROTOBUF: &str = "application/x-protobuf";

/// Bytes of a request that a server reads at most. The limits of an atomic write leave it well below.
pub const MAX_REQUEST_BYTES: usize = 2 << 20;
