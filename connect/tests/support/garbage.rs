//! Reads bytes of any kind: for tests, and for fuzzing.

use kv_connect::protocol::messages::*;
use kv_connect::protocol::{DatabaseMetadata, Extensions, FrameReader, too_many};
use kv_connect::server::Tokens;
use kv_store::Limits;
use kv_store::engine::ReadRange as Range;
use prost::Message;

/// The calls of the data path.
pub const METHODS: [&str; 4] = ["snapshot_read", "atomic_write", "watch", "queue_exchange"];

/// What a server reads.
pub fn read_request(method: &str, bytes: &[u8]) {
  if too_many(method, bytes).is_some() {
    return;
  }
  let limits = Limits::default();
  if let Ok(read) = SnapshotRead::decode(bytes)
    && let Ok(ranges) = read.ranges(&limits)
  {
    assert!(ranges.len() <= 10);
  }
  if let Ok(write) = AtomicWrite::decode(bytes)
    && let Ok(write) = write.checked(&limits, 1_800_000_000_000)
  {
    assert!(write.size() <= 819_200);
    // What was accepted is sent as it was meant.
    let sent = AtomicWrite::from(&write).encode_to_vec();
    let again = AtomicWrite::decode(&sent[..]).unwrap();
    let again = again.checked(&limits, 1_800_000_000_000).unwrap();
    assert_eq!(format!("{again:?}"), format!("{write:?}"));
  }
  if let Ok(watch) = Watch::decode(bytes) {
    let _ = watch.keys(&limits);
  }
  let _ = QueueExchange::decode(bytes);
}

/// What a client reads.
pub fn read_response(bytes: &[u8]) {
  let asked = Range {
    start: vec![],
    end: vec![0xff],
    limit: 3.try_into().unwrap(),
    reverse: false,
  };
  if let Ok(output) = SnapshotReadOutput::decode(bytes)
    && let Ok(ranges) = output.entries(&[asked])
  {
    assert!(ranges.len() == 1 && ranges[0].len() <= 3);
  }
  if let Ok(output) = AtomicWriteOutput::decode(bytes) {
    let _ = output.committed();
  }
  let _ = QueueExchangeOutput::decode(bytes);
  let mut frames = FrameReader::default();
  frames.push(bytes);
  while let Ok(Some(output)) = frames.next_frame() {
    for key in output.keys {
      let _ = key.entry_if_changed.map(|entry| entry.held().is_ok());
    }
  }
  let base = "http://localhost".parse().unwrap();
  let _ = DatabaseMetadata::from_json(bytes, &base);
  let text = String::from_utf8_lossy(bytes);
  let _ = (Extensions::parse(&text), Tokens::parse(&text));
}
