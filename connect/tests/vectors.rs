//! Exchanges of the real clients with the reference server, as they were recorded: the messages are read, and written
//! again to the same bytes.

#![allow(
  clippy::expect_used,
  clippy::panic,
  clippy::unwrap_used,
  reason = "a test fails by panicking"
)]

use kv_connect::protocol::messages::*;
use kv_connect::protocol::{DatabaseMetadata, FrameReader, MetadataRequest, frame};
use prost::Message;
use serde_json::Value;

fn vectors() -> Vec<Value> {
  serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
  let hex = vector[field].as_str().unwrap();
  let digits = hex.as_bytes().chunks(2);
  let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16);
  digits.map(|digits| byte(digits).unwrap()).collect()
}

/// Reads bytes, and compares what is written again with them.
fn same<M: Message + Default + PartialEq>(bytes: &[u8], is_canonical: bool) {
  let message = M::decode(bytes).unwrap();
  let written = message.encode_to_vec();
  if is_canonical {
    assert_eq!(written, bytes);
  }
  assert!(M::decode(written.as_slice()).unwrap() == message);
}

#[test]
fn messages_survive() {
  let mut seen = std::collections::BTreeMap::<String, usize>::new();
  for vector in vectors() {
    let method = vector["method"].as_str().unwrap().to_owned();
    let is_success = vector["status"] == 200;
    // Deno leaves out what is zero or empty; npm's client sends it.
    let is_canonical = vector["client"] == "deno";
    *seen.entry(method.clone()).or_default() += 1;
    let request = bytes(&vector, "request_hex");
    match method.as_str() {
      "metadata" => {
        let request: MetadataRequest = serde_json::from_slice(&request).unwrap();
        assert_eq!(request, MetadataRequest::default());
        if is_success {
          let base = "http://127.0.0.1:4512".parse().unwrap();
          let text = vector["response_text"].as_str().unwrap();
          let metadata = DatabaseMetadata::from_json(text.as_bytes(), &base).unwrap();
          assert_eq!(metadata.version, 3);
        }
      }
      "snapshot_read" => {
        same::<SnapshotRead>(&request, is_canonical);
        if is_success {
          same::<SnapshotReadOutput>(&bytes(&vector, "response_hex"), true);
        }
      }
      "atomic_write" => {
        same::<AtomicWrite>(&request, is_canonical);
        if is_success {
          same::<AtomicWriteOutput>(&bytes(&vector, "response_hex"), true);
        }
      }
      "watch" => {
        same::<Watch>(&request, is_canonical);
        for recorded in vector["frames"].as_array().unwrap() {
          let recorded = bytes(recorded, "hex");
          let mut reader = FrameReader::default();
          reader.push(&recorded);
          if let Some(output) = reader.next_frame().unwrap() {
            assert_eq!(frame(&output)[..], recorded[..]);
          }
        }
      }
      other => panic!("{other}"),
    }
  }
  assert!(
    seen.len() == 4 && seen.values().sum::<usize>() > 40,
    "{seen:?}"
  );
}

/// What the decoded form of a vector says is what the messages hold.
#[test]
fn requests_mean_what_they_are_recorded_as() {
  use kv_store::Limits;
  use kv_store::engine::MutationKind;

  let limits = Limits::default().with_backoff_intervals(10);
  // The delay of the message that was recorded is not over yet at this time.
  let now_ms = 1_795_000_000_000;
  for vector in vectors() {
    if vector["status"] != 200 {
      continue;
    }
    let request = bytes(&vector, "request_hex");
    match vector["method"].as_str().unwrap() {
      "snapshot_read" => {
        let ranges = SnapshotRead::decode(&request[..]).unwrap().ranges(&limits);
        let recorded = vector["request"]["ranges"].as_array().unwrap();
        for (range, recorded) in ranges.unwrap().iter().zip(recorded) {
          let limit = recorded["limit"].as_u64().unwrap();
          assert_eq!(u64::from(range.limit.get()), limit);
          assert_eq!(range.reverse, recorded["reverse"] == true);
        }
      }
      "atomic_write" => {
        let write = AtomicWrite::decode(&request[..]).unwrap();
        let write = write.checked(&limits, now_ms).unwrap();
        let recorded = vector["request"]["mutations"].as_array();
        let recorded = recorded.map_or(&[][..], Vec::as_slice);
        assert_eq!(write.mutations.len(), recorded.len());
        for (mutation, recorded) in write.mutations.iter().zip(recorded) {
          let name = match mutation.kind {
            MutationKind::Set(_) => "M_SET",
            MutationKind::SetWithVersionstamp(_) => "M_SET_SUFFIX_VERSIONSTAMPED_KEY",
            MutationKind::Delete => "M_DELETE",
            MutationKind::Sum(_) => "M_SUM",
            MutationKind::Min(_) => "M_MIN",
            MutationKind::Max(_) => "M_MAX",
          };
          assert_eq!(recorded["mutation_type"], name);
        }
      }
      _ => {}
    }
  }
}
