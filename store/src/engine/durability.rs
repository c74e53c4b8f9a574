/// What a commit has survived when it is answered.
///
/// Neither level can tear a commit, or lose an earlier one and keep a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
  /// The commit was handed to the operating system: it survives the end of the process, however
  /// that comes. A power failure or a crash of the system may lose the commits since the last
  /// checkpoint, which SQLite makes after about 4 MB of them and when the database is closed.
  Relaxed,
  /// The commit was synced to the disk: it survives a power failure.
  #[default]
  Full,
}
