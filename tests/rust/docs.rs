//! The README and docs/: every block of code runs, and prints what the page says.
//!
//! - `ts`, `js`: a script, run on kv and on Deno. A `text` block right after it is its output; without one it must
//!   print nothing. ```` ```ts app.ts ```` also saves it under that name in the page's folder, for the blocks below.
//! - `sh`: lines after `$ ` are run with bash in the page's folder, the others are what they print.
//! - `rust`: a doc test of kv_ext (ext/src/lib.rs names the pages).
//!
//! In expected output, `…` matches any text within a line.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::*;
use tempfile::TempDir;

struct Page {
  /// From the repository's root.
  name: String,
  text: String,
}

fn pages() -> Vec<Page> {
  let mut files = vec![PathBuf::from("README.md")];
  for entry in std::fs::read_dir(repository().join("docs")).unwrap() {
    let name = entry.unwrap().file_name();
    if name.to_string_lossy().ends_with(".md") {
      files.push(Path::new("docs").join(name));
    }
  }
  let read = |file: PathBuf| Page {
    text: std::fs::read_to_string(repository().join(&file)).unwrap(),
    name: file.to_string_lossy().into_owned(),
  };
  files.into_iter().map(read).collect()
}

struct Block {
  /// `page:line`.
  place: String,
  language: String,
  /// What follows the language.
  name: Option<String>,
  text: String,
  /// Only blank lines are between this block and the one before.
  follows: bool,
}

impl Block {
  fn is_script(&self) -> bool {
    matches!(self.language.as_str(), "ts" | "js")
  }
}

fn blocks(page: &Page) -> Vec<Block> {
  let mut blocks = Vec::new();
  let mut lines = page.text.lines().enumerate();
  let mut follows = false;
  while let Some((number, line)) = lines.next() {
    let Some(info) = line.strip_prefix("```") else {
      follows &= line.trim().is_empty();
      continue;
    };
    let mut words = info.split_whitespace().map(str::to_owned);
    let mut text = String::new();
    for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
      text.push_str(line);
      text.push('\n');
    }
    blocks.push(Block {
      place: format!("{}:{}", page.name, number + 1),
      language: words.next().unwrap_or_default(),
      name: words.next(),
      text,
      follows,
    });
    follows = true;
  }
  blocks
}

/// Whether a page's text says what was printed.
fn says(expected: &str, printed: &str) -> bool {
  let (expected, printed) = (expected.trim_end(), printed.trim_end());
  let mut lines = printed.lines();
  expected.lines().all(|expected| {
    lines.next().is_some_and(|line| {
      let mut rest = line;
      let mut parts = expected.split('…').peekable();
      let mut first = true;
      while let Some(part) = parts.next() {
        let found = match (first, parts.peek()) {
          (true, None) => (rest == part).then_some(0),
          (true, Some(_)) => rest.starts_with(part).then_some(0),
          (false, None) => rest.ends_with(part).then(|| rest.len() - part.len()),
          (false, Some(_)) => rest.find(part),
        };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
        first = false;
      }
      true
    })
  }) && lines.next().is_none()
}

/// A folder of a page's own, where its blocks run.
struct Folder {
  folder: TempDir,
  /// Where blocks find the programs.
  path: std::ffi::OsString,
}

impl Folder {
  fn new() -> Self {
    let folder = TempDir::new().unwrap();
    let mut path = vec![
      Path::new(env!("CARGO_BIN_EXE_kv"))
        .parent()
        .unwrap()
        .to_path_buf(),
    ];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    Self {
      folder,
      path: std::env::join_paths(path).unwrap(),
    }
  }

  fn file(&self, name: &str) -> PathBuf {
    self.folder.path().join(name)
  }

  /// A command that runs here.
  fn here(&self, mut command: Command) -> Command {
    command
      .current_dir(self.folder.path())
      .env("PATH", &self.path)
      .env("DENO_DIR", self.file(".deno"))
      .env("KV_DATA_DIR", self.file(".data"))
      .env("NO_COLOR", "1");
    command
  }

  /// What a script prints.
  fn script(&self, mut program: Command, block: &Block) -> String {
    let name = block.name.clone().unwrap_or_else(|| {
      // Scripts without a name have a database of their own each.
      format!("{}.ts", block.place.replace(['/', ':', '.'], "_"))
    });
    std::fs::write(self.file(&name), &block.text).unwrap();
    program.arg(&name);
    success_in_time(self.here(program))
  }
}

#[test]
fn every_script_prints_what_the_page_says() {
  let mut count = 0;
  let mut wrong = Vec::new();
  for page in pages() {
    let blocks = blocks(&page);
    let on_kv = Folder::new();
    let on_deno = Folder::new();
    for (index, block) in blocks.iter().enumerate() {
      match block.language.as_str() {
        _ if block.is_script() => {}
        // SQLite's own shell is optional: where it is not installed, its blocks are skipped.
        "sh" if block.text.contains("sqlite3 \"") && !has_sqlite() => {
          eprintln!("not run: {}: no sqlite3 found", block.place);
          continue;
        }
        "sh" => {
          wrong.extend(shell(&on_kv, block));
          continue;
        }
        "rust" => continue,
        "text" if block.follows && blocks[index - 1].is_script() => continue,
        other => panic!("{}: nothing runs a block of {other:?}", block.place),
      }
      let expected = match blocks.get(index + 1) {
        Some(next) if next.language == "text" && next.follows => next.text.as_str(),
        _ => "",
      };
      let mut programs = vec![("kv", &on_kv, kv(&on_kv.file(".data")))];
      if let Some(mut deno) = deno() {
        deno.args(["run", "-A", "--unstable-kv", "--quiet"]);
        programs.push(("Deno", &on_deno, deno));
      }
      for (name, folder, program) in programs {
        let printed = folder.script(program, block);
        if !says(expected, &printed) {
          wrong.push(format!("{}: {name} prints\n{printed}", block.place));
        }
      }
      count += 1;
    }
  }
  assert!(wrong.is_empty(), "{}", wrong.join("\n"));
  assert!(count > 10, "{count} scripts were found");
}

fn has_sqlite() -> bool {
  let version = Command::new("sqlite3").arg("-version").output();
  version.is_ok_and(|output| output.status.success())
}

/// Runs the commands of a block; returns those that print something else than the page says.
fn shell(folder: &Folder, block: &Block) -> Vec<String> {
  let mut commands: Vec<(String, String)> = Vec::new();
  for line in block.text.lines() {
    match (line.strip_prefix("$ "), commands.last_mut()) {
      (Some(command), _) => commands.push((command.to_owned(), String::new())),
      // A command goes on after a backslash.
      (None, Some((command, expected))) if command.ends_with('\\') && expected.is_empty() => {
        command.push('\n');
        command.push_str(line);
      }
      (None, Some((_, expected))) => {
        expected.push_str(line);
        expected.push('\n');
      }
      (None, None) => return vec![format!("{}: a command begins with '$ '", block.place)],
    }
  }
  let mut wrong = Vec::new();
  for (command, expected) in commands {
    let mut bash = folder.here(Command::new("bash"));
    // Errors are a part of what a person sees.
    bash.args(["-c", &format!("exec 2>&1; {command}")]);
    let output = bash.output().unwrap();
    let printed = stdout(&output);
    if !says(&expected, &printed) {
      wrong.push(format!("{}: $ {command}\n{printed}", block.place));
    }
  }
  wrong
}

#[test]
fn every_block_of_rust_is_a_doc_test() {
  let crate_page = std::fs::read_to_string(repository().join("torture/src/lib.rs")).unwrap();
  for page in pages() {
    if blocks(&page).iter().any(|block| block.language == "rust") {
      let included = format!("include_str!(\"../../{}\")", page.name);
      assert!(crate_page.contains(&included), "{}", page.name);
    }
  }
}

#[test]
fn links_lead_somewhere() {
  let link = regex::Regex::new(r"\]\(([^)#\s]+)(#[^)\s]*)?\)").unwrap();
  let mut count = 0;
  for page in pages() {
    let folder = repository().join(&page.name);
    for found in link.captures_iter(&page.text) {
      let target = &found[1];
      if target.contains("://") {
        continue;
      }
      let path = folder.parent().unwrap().join(target);
      assert!(path.exists(), "{}: {target}", page.name);
      if let Some(heading) = found.get(2)
        && target.ends_with(".md")
      {
        let text = std::fs::read_to_string(&path).unwrap();
        let anchors: Vec<String> = text
          .lines()
          .filter(|line| line.starts_with('#'))
          .map(anchor)
          .collect();
        assert!(
          anchors.contains(&heading.as_str().to_owned()),
          "{}: {target}{}",
          page.name,
          heading.as_str()
        );
      }
      count += 1;
    }
  }
  assert!(count > 20, "{count} links were found");
}

/// What GitHub calls a heading.
fn anchor(heading: &str) -> String {
  let kept = heading
    .trim_start_matches('#')
    .trim()
    .to_lowercase()
    .chars()
    .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
    .map(|c| if c == ' ' { '-' } else { c })
    .collect::<String>();
  format!("#{kept}")
}

/// Words that tell a reader who has trouble that it is their fault.
#[test]
fn no_page_says_that_anything_is_simple() {
  let words = regex::Regex::new(r"(?i)\b(simpl[ey]|just|eas[yi]\w*|obvious\w*)\b").unwrap();
  let mut texts: Vec<(String, String)> = Vec::new();
  for page in pages() {
    texts.push((page.name, page.text));
  }
  for entry in std::fs::read_dir(repository().join("examples")).unwrap() {
    let path = entry.unwrap().path();
    if path.is_file() {
      let text = std::fs::read_to_string(&path).unwrap();
      texts.push((path.display().to_string(), text));
    }
  }
  let data = TempDir::new().unwrap();
  for command in [
    "run", "test", "repl", "get", "list", "set", "delete", "path", "types",
  ] {
    let help = success(kv(data.path()).args([command, "--help"]));
    texts.push((format!("kv {command} --help"), help));
  }
  for (name, text) in texts {
    for (number, line) in text.lines().enumerate() {
      assert!(!words.is_match(line), "{name}:{}: {line}", number + 1);
    }
  }
}
