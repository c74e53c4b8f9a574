/// `From` for a type, from each of some others.
macro_rules! conversions {
  ($into:ty: $($from:ty => |$value:ident| $made:expr;)*) => {
    $(
      impl From<$from> for $into {
        fn from($value: $from) -> Self {
          $made
        }
      }
    )*
  };
}

pub(crate) use conversions;
