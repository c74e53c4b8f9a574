use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use denokv_proto::{
  AtomicWrite, Consistency, Database, KvEntry, KvValue, Mutation, MutationKind, ReadRange,
  SnapshotReadOptions,
};
use denokv_sqlite::{Connection, Sqlite, SqliteConfig, SqliteNotifier};
use rand::SeedableRng;

/// The store that Deno itself has, with Deno's settings.
pub struct Peer {
  sqlite: Sqlite,
}

impl Peer {
  pub fn open(path: &Path) -> Self {
    let path: PathBuf = path.to_owned();
    let connect = move || {
      let connection = Connection::open(&path).unwrap();
      connection
        .pragma_update(None, "journal_mode", "wal")
        .unwrap();
      // This is SQLite's default, which `denokv_sqlite` keeps.
      connection
        .pragma_update(None, "synchronous", "full")
        .unwrap();
      let random: Box<dyn rand::RngCore + Send> = Box::new(rand::rngs::StdRng::from_entropy());
      Ok((connection, random))
    };
    let config = SqliteConfig {
      batch_timeout: None,
      num_workers: std::thread::available_parallelism().map_or(2, |count| count.get()),
    };
    let sqlite = Sqlite::new(connect, SqliteNotifier::default(), config).unwrap();
    Self { sqlite }
  }

  async fn read(&self, start: Vec<u8>, end: Vec<u8>, limit: NonZeroU32) -> Vec<KvEntry> {
    let range = ReadRange {
      start,
      end,
      limit,
      reverse: false,
    };
    let options = SnapshotReadOptions {
      consistency: Consistency::Strong,
    };
    let mut output = Database::snapshot_read(&self.sqlite, vec![range], options)
      .await
      .unwrap();
    output.remove(0).entries
  }

  pub async fn get(&self, key: Vec<u8>) -> Vec<KvEntry> {
    let end = [key.as_slice(), &[0]].concat();
    self.read(key, end, NonZeroU32::MIN).await
  }

  pub async fn range(&self, start: Vec<u8>, end: Vec<u8>, limit: u32) -> Vec<KvEntry> {
    self.read(start, end, NonZeroU32::new(limit).unwrap()).await
  }

  pub async fn set(&self, key: Vec<u8>, value: Vec<u8>) {
    let write = AtomicWrite {
      checks: Vec::new(),
      mutations: vec![Mutation {
        key,
        kind: MutationKind::Set(KvValue::V8(value)),
        expire_at: None,
      }],
      enqueues: Vec::new(),
    };
    let committed = Database::atomic_write(&self.sqlite, write).await.unwrap();
    assert!(committed.is_some());
  }
}
