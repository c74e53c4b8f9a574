//! screenful.js, which the prompt and the commands share.

/// The source of a script of ours, an expression, in which `screenful` shows a value.
macro_rules! with_screenful {
  ($script:literal) => {
    concat!(
      "((screenful) => (",
      include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/", $script)),
      "))(",
      include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/screenful.js")),
      ")"
    )
  };
}
