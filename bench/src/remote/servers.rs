use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::program::TOKEN;

/// A server with an empty database. Dropping it ends it.
pub struct Server {
  child: Child,
  port: u16,
  folder: TempDir,
}

impl Server {
  pub fn kv(binary: &Path) -> Result<Self> {
    Self::start(binary, |command, port| {
      command
        .args(["kv.sqlite3", "--log-level", "error", "--addr"])
        .arg(format!("127.0.0.1:{port}"));
    })
  }

  pub fn denokv(binary: &Path) -> Result<Self> {
    Self::start(binary, |command, port| {
      command
        .args([
          "--sqlite-path",
          "kv.sqlite3",
          "serve",
          "--access-token",
          TOKEN,
          "--addr",
        ])
        .arg(format!("127.0.0.1:{port}"));
    })
  }

  fn start(binary: &Path, arguments: impl FnOnce(&mut Command, u16)) -> Result<Self> {
    // On the disk of the project: in memory a sync costs nothing.
    let folder = tempfile::tempdir_in("target")?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(
      binary
        .canonicalize()
        .with_context(|| binary.display().to_string())?,
    );
    arguments(&mut command, port);
    let child = command
      .current_dir(folder.path())
      .env("DENO_KV_ACCESS_TOKEN", TOKEN)
      .stdout(Stdio::null())
      .stderr(Stdio::null())
      .spawn()?;
    let server = Self {
      child,
      port,
      folder,
    };
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
      if started.elapsed() > Duration::from_secs(10) {
        bail!("{} does not listen", binary.display());
      }
      std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
  }

  pub fn url(&self) -> String {
    format!("http://127.0.0.1:{}", self.port)
  }

  pub fn port(&self) -> u16 {
    self.port
  }

  pub fn folder(&self) -> &Path {
    self.folder.path()
  }

  /// What it has of the machine's memory.
  pub fn resident_mb(&self) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.context("VmRSS")?.parse()?;
    Ok(kib / 1024.0)
  }

  /// The metadata exchange: the path of the data path, and the headers that go with it.
  pub fn session(&self) -> Result<(String, String)> {
    let body = r#"{"supportedVersions":[2,3]}"#;
    let request = format!(
      "POST / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
       connection: close\r\ncontent-length: {}\r\n\r\n{body}",
      body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, json) = answer.split_once("\r\n\r\n").context("no answer")?;
    let json: serde_json::Value = serde_json::from_str(json).with_context(|| answer.clone())?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let path = text(&json["endpoints"][0]["url"]).context("no endpoint")?;
    let token = text(&json["token"]).context("no token")?;
    let id = text(&json["databaseId"]).context("no id")?;
    let headers = format!(
      "host: localhost\r\nauthorization: Bearer {token}\r\nx-denokv-version: 3\r\nx-denokv-database-id: {id}\r\n\
       content-type: application/x-protobuf\r\n"
    );
    Ok((path, headers))
  }
}

impl Drop for Server {
  fn drop(&mut self) {
    // It may have ended by itself.
    let _ = self.child.kill();
    let _ = self.child.wait();
  }
}
