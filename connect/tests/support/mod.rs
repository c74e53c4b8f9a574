//! A server on loopback, in this process.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;

use kv_connect::client::{self, ClientOptions};
use kv_connect::server::{Builder, Server, Token, Tokens};
use kv_store::engine::Backend;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub const TOKEN: &str = "a-token-for-tests-only";

pub fn tokens() -> Tokens {
  Tokens::new([Token::new(TOKEN).unwrap()])
}

/// A server with an event loop of its own. Dropping it stops it.
pub struct TestServer {
  pub server: Server,
  pub addr: SocketAddr,
  runtime: Option<Runtime>,
}

impl TestServer {
  pub fn start(builder: Builder) -> Self {
    Self::start_at(builder, ([127, 0, 0, 1], 0).into())
  }

  pub fn start_at(builder: Builder, addr: SocketAddr) -> Self {
    let runtime = tokio::runtime::Builder::new_multi_thread()
      .worker_threads(2)
      .enable_all()
      .build()
      .unwrap();
    let server = builder.build();
    let listener = runtime.block_on(TcpListener::bind(addr)).unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = server.clone();
    runtime.spawn(async move { serving.serve(listener).await });
    Self {
      server,
      addr,
      runtime: Some(runtime),
    }
  }

  pub fn of(backend: Arc<dyn Backend>) -> Self {
    Self::start(Server::of_database(backend, tokens()))
  }

  pub fn url(&self) -> String {
    format!("http://{}", self.addr)
  }

  pub fn connect(&self) -> Arc<dyn Backend> {
    connect(&self.url()).unwrap()
  }

  /// Stops it as SIGTERM does.
  pub fn stop(&mut self) {
    if let Some(runtime) = self.runtime.take() {
      self.server.stop();
      runtime.block_on(async {
        // The listener's task ends when everything is answered.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        self.server.close().await.unwrap();
      });
      runtime.shutdown_background();
    }
  }
}

impl Drop for TestServer {
  fn drop(&mut self) {
    self.server.stop();
    if let Some(runtime) = self.runtime.take() {
      runtime.shutdown_background();
    }
  }
}

pub fn connect(url: &str) -> Result<Arc<dyn Backend>, kv_store::engine::StoreError> {
  connect_with(url, ClientOptions::default().token(TOKEN))
}

pub fn connect_with(
  url: &str,
  options: ClientOptions,
) -> Result<Arc<dyn Backend>, kv_store::engine::StoreError> {
  futures::executor::block_on(client::open(url.parse().unwrap(), options))
}
