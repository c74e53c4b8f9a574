//! The frames of a watch: a little-endian length of four bytes, then a message. Length 0 is a sign of life.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

use super::messages::WatchOutput;
use super::too_many_in_answer;

/// The frame that says nothing but that the connection is alive.
pub const KEEP_ALIVE: &[u8] = &[0; 4];

/// A frame with this message.
pub fn frame(output: &WatchOutput) -> Bytes {
  let length = output.encoded_len();
  let mut bytes = BytesMut::with_capacity(4 + length);
  // A frame holds ten values.
  bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
  bytes.extend_from_slice(&output.encode_to_vec());
  bytes.freeze()
}

/// Takes the frames out of a stream of bytes.
#[derive(Debug, Default)]
pub struct FrameReader {
  buffer: BytesMut,
}

/// A frame that is too long, or no message.
#[derive(Debug, thiserror::Error)]
#[error("invalid frame of a watch: {0}")]
pub struct InvalidFrame(String);

impl FrameReader {
  /// The longest frame: ten keys and values of the largest size are less.
  const MOST: usize = 1 << 20;

  /// Adds what was received.
  pub fn push(&mut self, bytes: &[u8]) {
    self.buffer.extend_from_slice(bytes);
  }

  /// The next message that is there as a whole. Frames of length 0 are skipped.
  ///
  /// # Errors
  /// The stream is none of frames.
  pub fn next_frame(&mut self) -> Result<Option<WatchOutput>, InvalidFrame> {
    loop {
      let Some(length) = self.buffer.first_chunk::<4>() else {
        return Ok(None);
      };
      let length = u32::from_le_bytes(*length) as usize;
      if length > Self::MOST {
        return Err(InvalidFrame(format!("{length} bytes")));
      }
      if self.buffer.len() < 4 + length {
        return Ok(None);
      }
      self.buffer.advance(4);
      let message = self.buffer.split_to(length);
      if too_many_in_answer("watch", &message) {
        return Err(InvalidFrame("more than ten keys".into()));
      }
      if length > 0 {
        let message = WatchOutput::decode(message);
        return message
          .map(Some)
          .map_err(|error| InvalidFrame(error.to_string()));
      }
    }
  }
}

#[cfg(test)]
mod tests {
  use super::*;
  use crate::protocol::messages::WatchKeyOutput;

  #[test]
  fn frames_arrive_in_pieces() {
    let output = WatchOutput {
      status: 1,
      keys: vec![WatchKeyOutput {
        changed: true,
        entry_if_changed: None,
      }],
    };
    // As the reference server sends it.
    assert_eq!(frame(&output)[..], *b"\x06\0\0\0\x08\x01\x12\x02\x08\x01");
    let stream = [KEEP_ALIVE, &frame(&output), KEEP_ALIVE, &frame(&output)].concat();
    for size in 1..stream.len() {
      let mut reader = FrameReader::default();
      let mut found = 0;
      for piece in stream.chunks(size) {
        reader.push(piece);
        while let Some(read) = reader.next_frame().unwrap() {
          assert_eq!(read, output);
          found += 1;
        }
      }
      assert_eq!(found, 2);
    }
  }

  #[test]
  fn long_and_senseless_frames_are_refused() {
    for bytes in [&b"\xff\xff\xff\xff"[..], b"\x01\0\0\0\xff"] {
      let mut reader = FrameReader::default();
      reader.push(bytes);
      assert!(reader.next_frame().is_err());
    }
  }
}
