//! The JS tests in tests/js, on `kv test`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::*;

#[test]
fn the_js_tests_pass() {
  let data = tempfile::TempDir::new().unwrap();
  let report = success(
    kv(data.path())
      .arg("test")
      .current_dir(repository().join("tests/js")),
  );
  println!("{report}");
  assert!(report.contains("\nok | "), "{report}");
}
