//! Keeps a script's file operations away from its open databases.
//!
//! A process that closes any descriptor of a file loses all its POSIX locks on that file, and another process would
//! take itself for the only user. So no file is open as a database and by other means at the same time.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use deno_error::JsErrorBox;
use deno_fs::{FileSystem, FsDirEntry, FsError, FsFileType, FsReadDirRc, OpenOptions, RealFs};
use deno_io::fs::{File, FsResult, FsStat, FsStatFs};
use deno_permissions::{CheckedPath, CheckedPathBuf};
use kv_ext::Location;
use kv_ext::store::sqlite;

/// Which file it is, however it is named.
type FileId = (u64, u64);

thread_local! {
  /// Files that scripts have open, and that may have been closed meanwhile.
  static OPEN: RefCell<Vec<(FileId, Weak<dyn File>)>> = const { RefCell::new(Vec::new()) };
}

fn file_id(path: &Path) -> Option<FileId> {
  #[cfg(unix)]
  {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
  }
  // Outside Unix, a lock belongs to its descriptor, and closing another one does no harm.
  #[cfg(not(unix))]
  {
    let _ = path;
    None
  }
}

fn busy(message: String) -> io::Error {
  io::Error::new(io::ErrorKind::ResourceBusy, message)
}

/// Refuses a file that is open as a database.
fn must_not_be_a_database(path: &Path) -> FsResult<()> {
  if file_id(path).is_some() && sqlite::is_open(path) {
    return Err(FsError::Io(busy(format!(
      "{} is open as a database: to open it as a file as well would drop the locks that keep other processes from \
       damaging it. Close the database first, or copy it with SQLite (VACUUM INTO)",
      path.display()
    ))));
  }
  Ok(())
}

fn remember(path: &Path, file: &Rc<dyn File>) {
  if let Some(id) = file_id(path) {
    OPEN.with_borrow_mut(|open| {
      open.retain(|(_, file)| file.strong_count() > 0);
      open.push((id, Rc::downgrade(file)));
    });
  }
}

/// For `KvOptions::open_hook`: refuses a database whose file the script has open.
///
/// # Errors
/// The script has the file open.
pub fn must_not_be_open_as_file(location: &Location) -> Result<Location, JsErrorBox> {
  if let Location::File(path) = location
    && let Some(id) = file_id(path)
  {
    let is_open = OPEN.with_borrow(|open| {
      let mut files = open.iter();
      files.any(|(other, file)| *other == id && file.strong_count() > 0)
    });
    if is_open {
      return Err(JsErrorBox::from_err(busy(format!(
        "unable to open database file: {}: this script has it open as a file, and closing that would drop the \
         locks of the database: close it first",
        path.display()
      ))));
    }
  }
  Ok(location.clone())
}

/// The real file system, which refuses files that are open as databases.
#[derive(Debug)]
pub struct Files;

#[async_trait::async_trait(?Send)]
impl FileSystem for Files {
  fn open_sync(&self, path: &CheckedPath, options: OpenOptions) -> FsResult<Rc<dyn File>> {
    must_not_be_a_database(path)?;
    let file = RealFs.open_sync(path, options)?;
    remember(path, &file);
    Ok(file)
  }

  async fn open_async<'a>(
    &'a self,
    path: CheckedPathBuf,
    options: OpenOptions,
  ) -> FsResult<Rc<dyn File>> {
    must_not_be_a_database(&path)?;
    let name = path.to_path_buf();
    let file = RealFs.open_async(path, options).await?;
    remember(&name, &file);
    Ok(file)
  }

  fn copy_file_sync(&self, from: &CheckedPath, to: &CheckedPath) -> FsResult<()> {
    must_not_be_a_database(from)?;
    must_not_be_a_database(to)?;
    RealFs.copy_file_sync(from, to)
  }

  async fn copy_file_async(&self, from: CheckedPathBuf, to: CheckedPathBuf) -> FsResult<()> {
    must_not_be_a_database(&from)?;
    must_not_be_a_database(&to)?;
    RealFs.copy_file_async(from, to).await
  }

  fn cp_sync(&self, from: &CheckedPath, to: &CheckedPath) -> FsResult<()> {
    must_not_be_a_database(from)?;
    must_not_be_a_database(to)?;
    RealFs.cp_sync(from, to)
  }

  async fn cp_async(&self, from: CheckedPathBuf, to: CheckedPathBuf) -> FsResult<()> {
    must_not_be_a_database(&from)?;
    must_not_be_a_database(&to)?;
    RealFs.cp_async(from, to).await
  }

  fn truncate_sync(&self, path: &CheckedPath, length: u64) -> FsResult<()> {
    must_not_be_a_database(path)?;
    RealFs.truncate_sync(path, length)
  }

  async fn truncate_async(&self, path: CheckedPathBuf, length: u64) -> FsResult<()> {
    must_not_be_a_database(&path)?;
    RealFs.truncate_async(path, length).await
  }

  fn cwd(&self) -> FsResult<PathBuf> {
    RealFs.cwd()
  }

  fn tmp_dir(&self) -> FsResult<PathBuf> {
    RealFs.tmp_dir()
  }

  fn chdir(&self, path: &CheckedPath) -> FsResult<()> {
    RealFs.chdir(path)
  }

  fn umask(&self, mask: Option<u32>) -> FsResult<u32> {
    RealFs.umask(mask)
  }

  fn mkdir_sync(&self, path: &CheckedPath, recursive: bool, mode: Option<u32>) -> FsResult<()> {
    RealFs.mkdir_sync(path, recursive, mode)
  }

  async fn mkdir_async(
    &self,
    path: CheckedPathBuf,
    recursive: bool,
    mode: Option<u32>,
  ) -> FsResult<()> {
    RealFs.mkdir_async(path, recursive, mode).await
  }

  #[cfg(unix)]
  fn chmod_sync(&self, path: &CheckedPath, mode: u32) -> FsResult<()> {
    RealFs.chmod_sync(path, mode)
  }

  #[cfg(not(unix))]
  fn chmod_sync(&self, path: &CheckedPath, mode: i32) -> FsResult<()> {
    RealFs.chmod_sync(path, mode)
  }

  #[cfg(unix)]
  async fn chmod_async(&self, path: CheckedPathBuf, mode: u32) -> FsResult<()> {
    RealFs.chmod_async(path, mode).await
  }

  #[cfg(not(unix))]
  async fn chmod_async(&self, path: CheckedPathBuf, mode: i32) -> FsResult<()> {
    RealFs.chmod_async(path, mode).await
  }

  fn chown_sync(&self, path: &CheckedPath, uid: Option<u32>, gid: Option<u32>) -> FsResult<()> {
    RealFs.chown_sync(path, uid, gid)
  }

  async fn chown_async(
    &self,
    path: CheckedPathBuf,
    uid: Option<u32>,
    gid: Option<u32>,
  ) -> FsResult<()> {
    RealFs.chown_async(path, uid, gid).await
  }

  fn lchmod_sync(&self, path: &CheckedPath, mode: u32) -> FsResult<()> {
    RealFs.lchmod_sync(path, mode)
  }

  async fn lchmod_async(&self, path: CheckedPathBuf, mode: u32) -> FsResult<()> {
    RealFs.lchmod_async(path, mode).await
  }

  fn lchown_sync(&self, path: &CheckedPath, uid: Option<u32>, gid: Option<u32>) -> FsResult<()> {
    RealFs.lchown_sync(path, uid, gid)
  }

  async fn lchown_async(
    &self,
    path: CheckedPathBuf,
    uid: Option<u32>,
    gid: Option<u32>,
  ) -> FsResult<()> {
    RealFs.lchown_async(path, uid, gid).await
  }

  fn remove_sync(&self, path: &CheckedPath, recursive: bool) -> FsResult<()> {
    RealFs.remove_sync(path, recursive)
  }

  async fn remove_async(&self, path: CheckedPathBuf, recursive: bool) -> FsResult<()> {
    RealFs.remove_async(path, recursive).await
  }

  fn stat_sync(&self, path: &CheckedPath) -> FsResult<FsStat> {
    RealFs.stat_sync(path)
  }

  async fn stat_async(&self, path: CheckedPathBuf) -> FsResult<FsStat> {
    RealFs.stat_async(path).await
  }

  fn lstat_sync(&self, path: &CheckedPath) -> FsResult<FsStat> {
    RealFs.lstat_sync(path)
  }

  async fn lstat_async(&self, path: CheckedPathBuf) -> FsResult<FsStat> {
    RealFs.lstat_async(path).await
  }

  fn statfs_sync(&self, path: &CheckedPath, bigint: bool) -> FsResult<FsStatFs> {
    RealFs.statfs_sync(path, bigint)
  }

  async fn statfs_async(&self, path: CheckedPathBuf, bigint: bool) -> FsResult<FsStatFs> {
    RealFs.statfs_async(path, bigint).await
  }

  fn realpath_sync(&self, path: &CheckedPath) -> FsResult<PathBuf> {
    RealFs.realpath_sync(path)
  }

  async fn realpath_async(&self, path: CheckedPathBuf) -> FsResult<PathBuf> {
    RealFs.realpath_async(path).await
  }

  fn read_dir_sync(&self, path: &CheckedPath) -> FsResult<Vec<FsDirEntry>> {
    RealFs.read_dir_sync(path)
  }

  async fn read_dir_async(&self, path: CheckedPathBuf) -> FsResult<FsReadDirRc> {
    RealFs.read_dir_async(path).await
  }

  fn rename_sync(&self, oldpath: &CheckedPath, newpath: &CheckedPath) -> FsResult<()> {
    RealFs.rename_sync(oldpath, newpath)
  }

  async fn rename_async(&self, oldpath: CheckedPathBuf, newpath: CheckedPathBuf) -> FsResult<()> {
    RealFs.rename_async(oldpath, newpath).await
  }

  fn rmdir_sync(&self, path: &CheckedPath) -> FsResult<()> {
    RealFs.rmdir_sync(path)
  }

  async fn rmdir_async(&self, path: CheckedPathBuf) -> FsResult<()> {
    RealFs.rmdir_async(path).await
  }

  fn link_sync(&self, oldpath: &CheckedPath, newpath: &CheckedPath) -> FsResult<()> {
    RealFs.link_sync(oldpath, newpath)
  }

  async fn link_async(&self, oldpath: CheckedPathBuf, newpath: CheckedPathBuf) -> FsResult<()> {
    RealFs.link_async(oldpath, newpath).await
  }

  fn symlink_sync(
    &self,
    oldpath: &CheckedPath,
    newpath: &CheckedPath,
    file_type: Option<FsFileType>,
  ) -> FsResult<()> {
    RealFs.symlink_sync(oldpath, newpath, file_type)
  }

  async fn symlink_async(
    &self,
    oldpath: CheckedPathBuf,
    newpath: CheckedPathBuf,
    file_type: Option<FsFileType>,
  ) -> FsResult<()> {
    RealFs.symlink_async(oldpath, newpath, file_type).await
  }

  fn read_link_sync(&self, path: &CheckedPath) -> FsResult<PathBuf> {
    RealFs.read_link_sync(path)
  }

  async fn read_link_async(&self, path: CheckedPathBuf) -> FsResult<PathBuf> {
    RealFs.read_link_async(path).await
  }

  fn utime_sync(
    &self,
    path: &CheckedPath,
    atime_secs: i64,
    atime_nanos: u32,
    mtime_secs: i64,
    mtime_nanos: u32,
  ) -> FsResult<()> {
    RealFs.utime_sync(path, atime_secs, atime_nanos, mtime_secs, mtime_nanos)
  }

  async fn utime_async(
    &self,
    path: CheckedPathBuf,
    atime_secs: i64,
    atime_nanos: u32,
    mtime_secs: i64,
    mtime_nanos: u32,
  ) -> FsResult<()> {
    RealFs
      .utime_async(path, atime_secs, atime_nanos, mtime_secs, mtime_nanos)
      .await
  }

  fn lutime_sync(
    &self,
    path: &CheckedPath,
    atime_secs: i64,
    atime_nanos: u32,
    mtime_secs: i64,
    mtime_nanos: u32,
  ) -> FsResult<()> {
    RealFs.lutime_sync(path, atime_secs, atime_nanos, mtime_secs, mtime_nanos)
  }

  async fn lutime_async(
    &self,
    path: CheckedPathBuf,
    atime_secs: i64,
    atime_nanos: u32,
    mtime_secs: i64,
    mtime_nanos: u32,
  ) -> FsResult<()> {
    RealFs
      .lutime_async(path, atime_secs, atime_nanos, mtime_secs, mtime_nanos)
      .await
  }

  fn exists_sync(&self, path: &CheckedPath) -> bool {
    RealFs.exists_sync(path)
  }

  async fn exists_async(&self, path: CheckedPathBuf) -> FsResult<bool> {
    RealFs.exists_async(path).await
  }
}
