//! Simulates power failures. The record of a process (`shim/record.c`) yields the files that a disk could hold at any
//! moment: all synced writes, and any part of the others, in any order, torn at any sector.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::crash::{Ledger, check};
use crate::program::{Program, Random};
use crate::shim;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
  pub failures: u32,
  pub acknowledged: usize,
  pub syncs: usize,
}

/// Records a writer for the time `record`, and lets the power fail at `failures` random moments.
///
/// # Errors
/// A promise was broken; the message says which, and at which moment.
pub fn run(kv: &Program, seed: u64, record: Duration, failures: u32) -> Result<Report> {
  let folder = tempfile::tempdir()?;
  let folder = folder.path().canonicalize()?;
  let log = record_a_writer(kv, &folder, seed, record)?;
  let records = parse(&std::fs::read(log)?)?;
  let mut random = Random(seed);
  let mut moments: Vec<usize> = (0..failures)
    .map(|_| random.below(records.len() as u64) as usize)
    .collect();
  moments.sort_unstable();

  let tokio = tokio::runtime::Builder::new_current_thread()
    .enable_all()
    .build()?;
  let mut disk = Disk::default();
  let mut report = Report::default();
  let mut done = 0;
  for moment in moments {
    for record in &records[done..=moment] {
      disk.apply(record);
    }
    done = moment + 1;
    let after = tempfile::tempdir()?;
    let file = after.path().join("kv.sqlite3");
    disk.fail(&file, &mut random)?;
    let mut ledger = Ledger::default();
    ledger.note_lines(&String::from_utf8_lossy(&disk.said))?;
    tokio
      .block_on(check(&file, 0, &mut ledger))
      .with_context(|| {
        format!(
          "power failed after {moment} of {} records, seed {seed}",
          records.len()
        )
      })?;
    report.failures += 1;
    report.acknowledged = ledger.acknowledged();
  }
  report.syncs = records
    .iter()
    .filter(|record| record.kind == Kind::Sync)
    .count();
  Ok(report)
}

/// Runs the writer of `crash.rs` under the recorder; returns the record.
fn record_a_writer(kv: &Program, folder: &Path, seed: u64, long: Duration) -> Result<PathBuf> {
  let library = shim::build("record", folder)?;
  let (file, log) = (folder.join("kv.sqlite3"), folder.join("record"));
  let arguments = [file.display().to_string(), seed.to_string(), "0".into()];
  let mut child = kv
    .script("crash.js", folder, &arguments)
    .env("LD_PRELOAD", &library)
    .env("RECORD_FILE", &file)
    .env("RECORD_TO", &log)
    .spawn()?;
  // Its output must not fill the pipe.
  let mut output = child.stdout.take().context("no output")?;
  let reader = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
  std::thread::sleep(long);
  ensure!(child.try_wait()?.is_none(), "the writer ended by itself");
  child.kill()?;
  child.wait()?;
  // The pipe has ended.
  let _ = reader.join();
  Ok(log)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
  Write,
  Truncate,
  Sync,
  Unlink,
  Said,
}

struct Record {
  kind: Kind,
  file: u8,
  offset: usize,
  bytes: Vec<u8>,
}

fn parse(mut log: &[u8]) -> Result<Vec<Record>> {
  let mut records = Vec::new();
  // The last record may be cut off: the writer was killed.
  while let Some((head, rest)) = log.split_at_checked(14) {
    let kind = match head[0] {
      b'W' => Kind::Write,
      b'T' => Kind::Truncate,
      b'S' => Kind::Sync,
      b'U' => Kind::Unlink,
      b'A' => Kind::Said,
      other => bail!("a record of kind {other}"),
    };
    let offset = u64::from_ne_bytes(head[2..10].try_into()?);
    let length = u32::from_ne_bytes(head[10..14].try_into()?);
    let Some((bytes, rest)) = rest.split_at_checked(length as usize) else {
      break;
    };
    records.push(Record {
      kind,
      file: head[1],
      offset: usize::try_from(offset)?,
      bytes: bytes.to_vec(),
    });
    log = rest;
  }
  ensure!(!records.is_empty(), "nothing was recorded");
  Ok(records)
}

/// A file, as far as it was synced, and what has happened to it since.
#[derive(Default)]
struct File {
  synced: Vec<u8>,
  exists: bool,
  pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
  Write(usize, Vec<u8>),
  Truncate(usize),
}

impl Change {
  fn apply(&self, image: &mut Vec<u8>) {
    match self {
      Self::Write(offset, bytes) => {
        let end = offset + bytes.len();
        if image.len() < end {
          image.resize(end, 0);
        }
        image[*offset..end].copy_from_slice(bytes);
      }
      Self::Truncate(length) => image.resize(*length, 0),
    }
  }
}

#[derive(Default)]
struct Disk {
  files: BTreeMap<u8, File>,
  /// What the process has said.
  said: Vec<u8>,
}

impl Disk {
  fn apply(&mut self, record: &Record) {
    if record.kind == Kind::Said {
      self.said.extend(&record.bytes);
      return;
    }
    let file = self.files.entry(record.file).or_default();
    match record.kind {
      Kind::Write => {
        file.exists = true;
        // Sector by sector: each may reach the disk or not.
        let mut offset = record.offset;
        let mut rest = record.bytes.as_slice();
        while !rest.is_empty() {
          let room = SECTOR - offset % SECTOR;
          let (sector, more) = rest.split_at(room.min(rest.len()));
          file.pending.push(Change::Write(offset, sector.to_vec()));
          offset += sector.len();
          rest = more;
        }
      }
      Kind::Truncate => file.pending.push(Change::Truncate(record.offset)),
      Kind::Sync => {
        for change in std::mem::take(&mut file.pending) {
          change.apply(&mut file.synced);
        }
      }
      // The removal of a name is taken to be durable, and so is its making.
      Kind::Unlink => *file = File::default(),
      Kind::Said => {}
    }
  }

  /// Writes the files as a power failure at this moment could leave them.
  fn fail(&self, path: &Path, random: &mut Random) -> Result<()> {
    // Keep none, some or nearly all of the unsynced changes.
    let percent = [0, 50, 95][random.below(3) as usize];
    for (number, file) in &self.files {
      if !file.exists {
        continue;
      }
      let mut image = file.synced.clone();
      let mut pending: Vec<&Change> = file
        .pending
        .iter()
        .filter(|_| random.below(100) < percent)
        .collect();
      for index in (1..pending.len()).rev() {
        pending.swap(index, random.below(index as u64 + 1) as usize);
      }
      for change in pending {
        change.apply(&mut image);
      }
      let mut name = path.as_os_str().to_owned();
      if *number == 2 {
        name.push("-wal");
      }
      std::fs::write(name, image)?;
    }
    Ok(())
  }
}
