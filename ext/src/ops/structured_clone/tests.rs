//! Ours against V8's own serializer: each reads what the other writes.

#![allow(
  clippy::unwrap_used,
  clippy::panic,
  reason = "a test fails by panicking"
)]

use deno_core::{JsRuntime, RuntimeOptions, scope, v8};

use crate::KvOptions;
use crate::ops::codec::Codec;
use crate::ops::{native_clone, structured_clone};

/// Values of every kind, each with its name, and a function that tells whether a copy is equal:
/// it looks at classes, order, holes, cycles and shared objects.
const VALUES: &str = include_str!("tests.js");

/// Values that can't be cloned.
const REFUSED: &str = include_str!("refused.js");

/// Calls `test` for every value with its name, itself, and the codec; in it, `same` compares.
fn for_each_value(
  test: impl for<'s> Fn(
    &mut v8::PinScope<'s, '_>,
    v8::Local<'s, v8::Value>,
    &Codec<'s>,
  ) -> Vec<v8::Local<'s, v8::Value>>,
) {
  for_each_of(VALUES, test);
}

/// The same for the values of another script.
fn for_each_of(
  script: &'static str,
  test: impl for<'s> Fn(
    &mut v8::PinScope<'s, '_>,
    v8::Local<'s, v8::Value>,
    &Codec<'s>,
  ) -> Vec<v8::Local<'s, v8::Value>>,
) {
  // V8 schedules its own work on it.
  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()
    .unwrap();
  let _entered = tokio.enter();
  let mut runtime = JsRuntime::new(RuntimeOptions {
    extensions: vec![crate::init(KvOptions::default())],
    ..Default::default()
  });
  let share = "import { codec } from 'ext:kv_ext/codec.js'; globalThis.codec = codec;";
  let module = runtime.lazy_load_es_module_with_code("ext:test/codec.js", share);
  module.unwrap();
  // Each in a block of its own: they name things alike.
  let in_block = |script: &str| format!("{{{script}}}");
  runtime
    .execute_script("tests.js", in_block(VALUES))
    .unwrap();
  let values = runtime
    .execute_script("values.js", in_block(script))
    .unwrap();
  scope!(scope, &mut runtime);
  let global = scope.get_current_context().global(scope);
  let name = v8::String::new(scope, "codec").unwrap();
  let codec = Codec::new(global.get(scope, name.into()).unwrap().cast());
  let name = v8::String::new(scope, "same").unwrap();
  let same = global
    .get(scope, name.into())
    .unwrap()
    .cast::<v8::Function>();
  let values = v8::Local::new(scope, values).cast::<v8::Array>();
  assert!(values.length() > 20);
  for index in 0..values.length() {
    let pair = values.get_index(scope, index).unwrap().cast::<v8::Array>();
    let name = pair
      .get_index(scope, 0)
      .unwrap()
      .to_rust_string_lossy(scope);
    let value = pair.get_index(scope, 1).unwrap();
    for copy in test(scope, value, &codec) {
      let receiver = v8::undefined(scope).into();
      let different = same.call(scope, receiver, &[value, copy]).unwrap();
      let different = different.to_rust_string_lossy(scope);
      assert_eq!(different, "", "{name}");
    }
  }
}

#[test]
fn ours_reads_what_ours_writes() {
  for_each_value(|scope, value, codec| {
    let bytes = structured_clone::serialize(scope, value, codec).unwrap();
    vec![structured_clone::deserialize(scope, &bytes, codec).unwrap()]
  });
}

#[test]
fn ours_reads_what_v8_writes_and_the_other_way_round() {
  for_each_value(|scope, value, codec| {
    let native = native_clone::serialize(scope, value, codec).unwrap();
    let ours = structured_clone::serialize(scope, value, codec).unwrap();
    vec![
      structured_clone::deserialize(scope, &native, codec)
        .unwrap_or_else(|error| panic!("{error}: {native:?}")),
      native_clone::deserialize(scope, &ours, codec)
        .unwrap_or_else(|error| panic!("{error}: {ours:?}")),
    ]
  });
}

/// V8 writes version 16, which is stored as 15: to V8 itself, the bytes after the version mean the same in both.
#[test]
fn v8_reads_its_clones_as_either_version() {
  for_each_value(|scope, value, codec| {
    let stored = native_clone::serialize(scope, value, codec).unwrap();
    assert_eq!(stored[..2], [0xff, 15]);
    let mut as_written = stored.clone();
    as_written[1] = 16;
    [stored, as_written]
      .map(|clone| native_clone::deserialize(scope, &clone, codec).unwrap())
      .to_vec()
  });
}

#[test]
fn ours_refuses_what_v8_refuses_in_the_same_words() {
  for_each_of(REFUSED, |scope, value, codec| {
    let mut refusal = |native: bool| {
      v8::tc_scope!(let scope, scope);
      let result = match native {
        true => native_clone::serialize(scope, value, codec),
        false => structured_clone::serialize(scope, value, codec),
      };
      assert!(result.is_err(), "{native}: {result:?}");
      let thrown = scope.exception().unwrap();
      thrown.to_rust_string_lossy(scope)
    };
    assert_eq!(refusal(false), refusal(true));
    Vec::new()
  });
}

#[test]
fn malformed_clones_are_errors() {
  for_each_value(|scope, value, codec| {
    let bytes = native_clone::serialize(scope, value, codec).unwrap();
    let read = |scope: &mut v8::PinScope<'_, '_>, bytes: &[u8]| {
      // A scope of its own, or nothing of what is made here could be collected.
      v8::scope!(let scope, scope);
      v8::tc_scope!(let scope, scope);
      let codec = Codec::new(v8::Local::new(scope, codec.object));
      let _ = structured_clone::deserialize(scope, bytes, &codec);
    };
    // Every byte changed in a few ways, and every truncation.
    for position in 0..bytes.len().min(300) {
      for change in [0x00, 0x01, 0x7f, 0x80, 0xff, b'^', b'o', b'V', b'B', b'A'] {
        let mut broken = bytes.clone();
        broken[position] = change;
        read(scope, &broken);
      }
      read(scope, &bytes[..position]);
    }
    Vec::new()
  });
}
