use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kv_store::engine::StoreError;
use url::Url;

use super::transport::Transport;

/// Is asked before a request goes to a URL.
pub(super) type UrlHook = Arc<dyn Fn(&Url) -> Result<(), StoreError> + Send + Sync>;

/// The access token for a URL, if there is one.
pub(super) type TokenOf = Arc<dyn Fn(&Url) -> Option<String> + Send + Sync>;

/// How a remote database is opened.
#[derive(Clone)]
#[must_use]
pub struct ClientOptions {
  pub(super) token: Option<TokenOf>,
  pub(super) transport: Option<Arc<dyn Transport>>,
  pub(super) url_hook: Option<UrlHook>,
  pub(super) deadline: Duration,
  pub(super) user_agent: String,
}

/// Does not show the token.
impl fmt::Debug for ClientOptions {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("ClientOptions")
      .field("has_token", &self.token.is_some())
      .field("deadline", &self.deadline)
      .field("user_agent", &self.user_agent)
      .finish_non_exhaustive()
  }
}

impl Default for ClientOptions {
  fn default() -> Self {
    Self {
      token: None,
      transport: None,
      url_hook: None,
      deadline: Duration::from_secs(30),
      user_agent: concat!("kv/", env!("CARGO_PKG_VERSION")).into(),
    }
  }
}

impl ClientOptions {
  /// The access token. Default: the variable `DENO_KV_ACCESS_TOKEN`, as in Deno.
  pub fn token(self, token: impl Into<String>) -> Self {
    let token = token.into();
    self.token_for(move |_| Some(token.clone()))
  }

  /// The access token for each URL, where databases have different ones. `None`: there is none, and opening fails.
  pub fn token_for(
    mut self,
    token: impl Fn(&Url) -> Option<String> + Send + Sync + 'static,
  ) -> Self {
    self.token = Some(Arc::new(token));
    self
  }

  /// What sends the requests. Default: HTTP/1.1 and TLS of this crate.
  pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
    self.transport = Some(transport);
    self
  }

  /// Is asked before the first request to each URL: of the metadata exchange, where redirects lead, and of each
  /// endpoint that the server names. An error refuses it.
  pub fn url_hook(
    mut self,
    hook: impl Fn(&Url) -> Result<(), StoreError> + Send + Sync + 'static,
  ) -> Self {
    self.url_hook = Some(Arc::new(hook));
    self
  }

  /// How long a call may take, with all its attempts, while the server can't be reached. Default: 30 seconds; at most
  /// five minutes, since a server remembers the id of a write for ten.
  pub fn deadline(mut self, deadline: Duration) -> Self {
    self.deadline = deadline.min(Duration::from_secs(300));
    self
  }

  /// What requests carry as `user-agent`. Default: this crate's name and version.
  pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
    self.user_agent = user_agent.into();
    self
  }
}
