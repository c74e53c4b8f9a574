use std::fmt::{Error, Write};

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
  Metadata,
  Read,
  Write,
  Watch,
  Queue,
  /// Nothing that there is.
  Unknown,
}

impl Call {
  /// As in the path of the request.
  pub(super) fn name(self) -> &'static str {
    match self {
      Self::Metadata => "metadata",
      Self::Read => "snapshot_read",
      Self::Write => "atomic_write",
      Self::Watch => "watch",
      Self::Queue => "queue_exchange",
      Self::Unknown => "unknown",
    }
  }

  /// Bytes of a request's body, at most: the keys of a read and of a watch have 2 KiB each.
  pub(super) fn most_bytes(self) -> usize {
    match self {
      Self::Metadata => 4 << 10,
      Self::Read | Self::Watch => 64 << 10,
      Self::Queue => 1 << 20,
      Self::Write => crate::protocol::MAX_REQUEST_BYTES,
      Self::Unknown => 0,
    }
  }
}

impl EncodeLabelValue for Call {
  fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
    encoder.write_str(self.name())
  }
}
