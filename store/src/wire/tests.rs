use proptest::prelude::*;

use super::*;

proptest! {
  #[test]
  fn numbers_survive(number in any::<f64>()) {
    let mut writer = Writer::new();
    writer.number(number);
    let bytes = writer.finish();
    let mut reader = Reader::new(&bytes).unwrap();
    let read = match reader.tag().unwrap() {
      tag::INT32 => f64::from(reader.int32().unwrap()),
      tag::DOUBLE => reader.double().unwrap(),
      other => panic!("{other}"),
    };
    prop_assert_eq!(read.to_bits(), number.to_bits());
    prop_assert_eq!(reader.remaining(), 0);
  }

  #[test]
  fn integers_are_short(number in any::<i32>()) {
    let mut writer = Writer::new();
    writer.number(number.into());
    let bytes = writer.finish();
    prop_assert!(bytes.len() <= 8);
    let mut reader = Reader::new(&bytes).unwrap();
    prop_assert_eq!(reader.tag().unwrap(), tag::INT32);
    prop_assert_eq!(reader.int32().unwrap(), number);
  }

  #[test]
  fn strings_survive_at_any_offset(
    before in prop::collection::vec(any::<u8>(), 0..4), units in prop::collection::vec(any::<u16>(), 0..200),
  ) {
    let mut writer = Writer::new();
    writer.raw(&before);
    writer.string(&units);
    let bytes = writer.finish();
    let mut reader = Reader::new(&bytes).unwrap();
    reader.raw(before.len()).unwrap();
    prop_assert_eq!(reader.string().unwrap(), units);
  }

  #[test]
  fn bigints_survive(negative in any::<bool>(), digits in prop::collection::vec(any::<u64>(), 0..6)) {
    let mut writer = Writer::new();
    writer.bigint(negative, &digits);
    let bytes = writer.finish();
    let mut reader = Reader::new(&bytes).unwrap();
    let (read_negative, read) = reader.bigint().unwrap();
    let significant = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    prop_assert_eq!(read_negative, negative);
    prop_assert_eq!(read, &digits[..significant]);
  }

  #[test]
  fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
    let with_header = [&[0xff, 15], bytes.as_slice()].concat();
    for bytes in [&bytes, &with_header] {
      if let Ok(mut reader) = Reader::new(bytes) {
        while let Ok(tag) = reader.tag() {
          let _ = reader.string_of(tag);
          let _ = reader.bigint();
        }
      }
    }
  }
}

#[test]
fn a_newer_format_is_refused() {
  assert!(Reader::new(&[0xff, 17, b'_']).is_err());
  for known in [13, 15, 16] {
    assert!(Reader::new(&[0xff, known, b'_']).is_ok());
  }
  assert!(Reader::new(&[]).is_err());
}
