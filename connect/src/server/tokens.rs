//! Access tokens, and the tokens of the data path that are made of them.
//!
//! A client shows its access token in the metadata exchange, and gets another one for the data path, which ends after
//! an hour: `base64url(expiry, 8 bytes ‖ id of the access token, 8 bytes ‖ HMAC-SHA-256, 32 bytes)`. The key of the
//! HMAC is a digest of the access token, and the database's id is in what it signs. So nothing has to be kept: every
//! server that knows the access token accepts it, after a restart as well, until the access token is taken away.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::names::check_name;

/// How long a token of the data path lasts. npm's client asks for another when less than five minutes are left, Deno's
/// each minute.
const LIFETIME: Duration = Duration::from_secs(3600);
/// npm's client uses the old one once more after it has got another.
const GRACE: Duration = Duration::from_secs(300);
/// Characters of an access token, at least.
const SHORTEST: usize = 16;

/// What an access token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
  /// Reads and watches.
  pub read: bool,
  /// Atomic writes, messages for the queue among them.
  pub write: bool,
  /// Listening to the queue.
  pub queue: bool,
}

impl Rights {
  /// Everything.
  pub const ALL: Self = Self {
    read: true,
    write: true,
    queue: true,
  };
}

/// An access token with what it allows. The token itself is not kept, but digests of it.
#[derive(Clone)]
pub struct Token {
  digest: [u8; 32],
  key: [u8; 32],
  rights: Rights,
  /// `None`: all.
  databases: Option<BTreeSet<String>>,
}

/// Does not show the token.
impl fmt::Debug for Token {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Token")
      .field("rights", &self.rights)
      .field("databases", &self.databases)
      .finish_non_exhaustive()
  }
}

/// Names a token in logs and figures: a part of its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenId(pub(super) [u8; 8]);

/// The access tokens that a server knows.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Token>);

/// Why tokens can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTokens {
  /// A token that is short enough to be guessed.
  #[error("an access token has at least {SHORTEST} characters")]
  Short,
  /// A token with characters that a header can't carry.
  #[error("an access token consists of visible ASCII characters, without spaces")]
  Characters,
  /// A line of a file of tokens that means nothing.
  #[error("line {line}: {reason}")]
  Line {
    /// From 1.
    line: usize,
    /// What is wrong with it.
    reason: String,
  },
  /// A file without a token.
  #[error("there is no token in it")]
  None,
}

impl Token {
  /// A token that allows everything.
  ///
  /// # Errors
  /// It has fewer than 16 characters, or some that a header can't carry.
  pub fn new(secret: &str) -> Result<Self, InvalidTokens> {
    if secret.len() < SHORTEST {
      return Err(InvalidTokens::Short);
    }
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
      return Err(InvalidTokens::Characters);
    }
    let key = Sha256::new_with_prefix("kv data path\0").chain_update(secret);
    Ok(Self {
      digest: Sha256::digest(secret).into(),
      key: key.finalize().into(),
      rights: Rights::ALL,
      databases: None,
    })
  }

  /// The same with these rights.
  #[must_use]
  pub fn rights(mut self, rights: Rights) -> Self {
    self.rights = rights;
    self
  }

  /// The same for these databases only.
  #[must_use]
  pub fn databases(mut self, names: impl IntoIterator<Item = String>) -> Self {
    self.databases = Some(names.into_iter().collect());
    self
  }

  pub(super) fn id(&self) -> TokenId {
    let mut id = [0; 8];
    id.copy_from_slice(&self.digest[..8]);
    TokenId(id)
  }

  pub(super) fn allows(&self) -> Rights {
    self.rights
  }

  /// Whether the token is for the database of this name. A server of one database has no names.
  pub(super) fn is_for(&self, database: Option<&str>) -> bool {
    match (&self.databases, database) {
      (Some(names), Some(name)) => names.contains(name),
      _ => true,
    }
  }

  fn signature(&self, expires_at: u64, database_id: Uuid) -> [u8; 32] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&expires_at.to_be_bytes());
    bytes[8..].copy_from_slice(database_id.as_bytes());
    // A key may have any length.
    let mac = Hmac::<Sha256>::new_from_slice(&self.key).map(|mac| mac.chain_update(bytes));
    mac.map_or([0; 32], |mac| mac.finalize().into_bytes().into())
  }

  /// Whether a token of the data path was made of this one, for this database.
  pub(super) fn has_signed(&self, data_token: &DataToken, database_id: Uuid) -> bool {
    let expected = self.signature(data_token.expires_at, database_id);
    expected.ct_eq(&data_token.signature).into()
  }

  /// A token for the data path of a database, and when it ends.
  pub(super) fn issue(&self, database_id: Uuid, now: SystemTime) -> (String, SystemTime) {
    let expires_at = now + LIFETIME;
    let seconds = seconds(expires_at);
    let mut bytes = Vec::with_capacity(48);
    bytes.extend(seconds.to_be_bytes());
    bytes.extend(self.id().0);
    bytes.extend(self.signature(seconds, database_id));
    let expires_at = UNIX_EPOCH + Duration::from_secs(seconds);
    (BASE64_URL_SAFE_NO_PAD.encode(bytes), expires_at)
  }
}

fn seconds(time: SystemTime) -> u64 {
  time
    .duration_since(UNIX_EPOCH)
    .unwrap_or_default()
    .as_secs()
}

impl Tokens {
  /// These tokens.
  pub fn new(tokens: impl IntoIterator<Item = Token>) -> Self {
    Self(tokens.into_iter().collect())
  }

  /// Reads a file of tokens: one a line, followed by its rights (`read`, `write` and `queue`, with commas between them;
  /// everything, if there are none), and by the names of the databases that it is for (all, if there are none). Lines
  /// that begin with `#` are comments.
  ///
  /// ```
  /// use kv_connect::server::Tokens;
  ///
  /// let tokens = Tokens::parse("
  ///   ## The shop: everything.
  ///   c2hvcC1zZWNyZXQtMDAwMQ
  ///   ## Reports may read two databases.
  ///   cmVwb3J0cy1zZWNyZXQtMDE read orders customers
  /// ")?;
  /// # Ok::<(), kv_connect::server::InvalidTokens>(())
  /// ```
  ///
  /// # Errors
  /// A line means nothing, or there is no token.
  pub fn parse(text: &str) -> Result<Self, InvalidTokens> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
      let text = text.trim();
      if text.is_empty() || text.starts_with('#') {
        continue;
      }
      let invalid = |reason| InvalidTokens::Line { line, reason };
      let token = parse_line(text).map_err(invalid)?;
      if tokens
        .iter()
        .any(|known: &Token| known.digest == token.digest)
      {
        return Err(invalid(
          "the token stands on an earlier line as well".into(),
        ));
      }
      tokens.push(token);
    }
    if tokens.is_empty() {
      return Err(InvalidTokens::None);
    }
    Ok(Self(tokens))
  }

  /// Whether one of them is for some databases only.
  pub fn name_databases(&self) -> bool {
    self.0.iter().any(|token| token.databases.is_some())
  }

  /// The access token that a client has shown. All are compared, in the same time whether or not one fits.
  pub(super) fn find(&self, secret: &str) -> Option<&Token> {
    let digest: [u8; 32] = Sha256::digest(secret).into();
    let mut found = None;
    for token in &self.0 {
      if bool::from(token.digest.ct_eq(&digest)) {
        found = found.or(Some(token));
      }
    }
    found
  }

  /// The access token that a token of the data path names, if it has not ended. Whether its signature is right,
  /// [`Token::has_signed`] says.
  pub(super) fn named_by(&self, data_token: &DataToken, now: SystemTime) -> Option<&Token> {
    let token = self.of(data_token.id)?;
    data_token.is_in_time(now).then_some(token)
  }

  /// The access token of this id.
  pub(super) fn of(&self, id: TokenId) -> Option<&Token> {
    self.0.iter().find(|token| token.id() == id)
  }
}

/// The parts of a token of the data path.
pub(super) struct DataToken {
  /// In seconds since 1970.
  expires_at: u64,
  id: TokenId,
  signature: [u8; 32],
}

impl DataToken {
  pub(super) fn parse(text: &str) -> Option<Self> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (expires_at, rest) = bytes.split_first_chunk::<8>()?;
    let (id, signature) = rest.split_first_chunk::<8>()?;
    Some(Self {
      expires_at: u64::from_be_bytes(*expires_at),
      id: TokenId(*id),
      signature: signature.try_into().ok()?,
    })
  }

  fn is_in_time(&self, now: SystemTime) -> bool {
    seconds(now) <= self.expires_at.saturating_add(GRACE.as_secs())
  }
}

fn parse_line(line: &str) -> Result<Token, String> {
  let mut words = line.split_whitespace();
  let secret = words.next().unwrap_or_default();
  let mut token = Token::new(secret).map_err(|error| error.to_string())?;
  if let Some(names) = words.next() {
    let mut rights = Rights {
      read: false,
      write: false,
      queue: false,
    };
    for name in names.split(',') {
      match name {
        "read" => rights.read = true,
        "write" => rights.write = true,
        "queue" => rights.queue = true,
        other => {
          return Err(format!(
            "unknown right \"{other}\": there are read, write and queue"
          ));
        }
      }
    }
    token = token.rights(rights);
  }
  let databases: BTreeSet<_> = words.map(str::to_owned).collect();
  if let Some(name) = databases.iter().find(|name| check_name(name).is_err()) {
    return Err(format!("\"{name}\" is no name of a database"));
  }
  if !databases.is_empty() {
    token = token.databases(databases);
  }
  Ok(token)
}

#[cfg(test)]
mod tests {
  use super::*;

  const SECRET: &str = "a-secret-of-some-length";

  #[test]
  fn data_path_tokens_end_and_are_of_one_database() {
    let tokens = Tokens::new([Token::new(SECRET).unwrap()]);
    let token = tokens.find(SECRET).unwrap();
    let (database, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let (issued, expires_at) = token.issue(database, now);
    assert_eq!(expires_at, now + LIFETIME);
    let verified = |tokens: &Tokens, text: &str, database, at| {
      DataToken::parse(text).is_some_and(|data_token| {
        let named = tokens.named_by(&data_token, at);
        named.is_some_and(|token| token.has_signed(&data_token, database))
      })
    };
    let is_valid = |text: &str, database, at| verified(&tokens, text, database, at);
    assert!(is_valid(&issued, database, now));
    assert!(is_valid(&issued, database, expires_at + GRACE));
    assert!(!is_valid(&issued, database, expires_at + GRACE * 2));
    assert!(!is_valid(&issued, other, now));
    // The access token itself, and one byte changed anywhere.
    assert!(!is_valid(SECRET, database, now));
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&issued).unwrap();
    for index in 0..bytes.len() {
      let mut changed = bytes.clone();
      changed[index] ^= 1;
      let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
      assert!(!is_valid(&changed, database, now), "{index}");
    }
    assert!(!is_valid(&issued[..issued.len() - 2], database, now));
    // A server without the access token.
    let others = Tokens::new([Token::new("another-secret-of-some-length").unwrap()]);
    assert!(!verified(&others, &issued, database, now));
  }

  #[test]
  fn files_of_tokens() {
    let tokens =
      Tokens::parse("# all\n0123456789abcdef\n\n  fedcba9876543210 read,queue a b\n").unwrap();
    let all = tokens.find("0123456789abcdef").unwrap();
    assert_eq!(all.allows(), Rights::ALL);
    assert!(all.is_for(Some("anything")));
    let some = tokens.find("fedcba9876543210").unwrap();
    assert!(!some.allows().write && some.allows().queue);
    assert!(some.is_for(Some("b")) && !some.is_for(Some("c")));
    assert!(tokens.find("fedcba987654321").is_none());
    for wrong in [
      "",
      "# none",
      "short",
      "0123456789abcdef readwrite",
      "0123456789abcdef read # a comment",
      "0123456789abcdef\n0123456789abcdef read",
    ] {
      assert!(Tokens::parse(wrong).is_err(), "{wrong}");
    }
    assert!(!format!("{tokens:?}").contains("0123456789abcdef"));
  }
}
